/*
 * Bytes that are kept until they are wanted: in memory up to a limit, beyond it in an unlinked
 * file, so that a large reply costs disk and not memory.
 */
#ifndef EXTHOST_SPOOL_H
#define EXTHOST_SPOOL_H

#include "base/buffer.h"

#include <stdint.h>

struct error;

struct spool {
	size_t limit;       /* bytes kept in memory */
	const char *folder; /* for the file */
	struct buffer memory;
	int file; /* -1 until the limit is passed */
	uint64_t size;
};

void spool_init(struct spool *s, size_t limit, const char *folder);

/* Put bytes behind what is there. 0, or -1 with *e filled (no memory, disk full). */
int spool_append(struct spool *s, const void *data, size_t size, struct error *e);

/*
 * Give all bytes, in order and in pieces, to `take`, until it returns other than 0, which is then
 * returned. 0 when all are given, -1 with errno when the file cannot be read.
 */
int spool_each(struct spool *s, int (*take)(void *user, const void *data, size_t size), void *user);

void spool_release(struct spool *s);

#endif
