/*
 * Bytes stored until they are needed: in memory up to a limit, then in an unlinked file, so that a
 * large reply costs disk space and not memory.
 */
#ifndef EXTHOST_SPOOL_H
#define EXTHOST_SPOOL_H

#include "base/buffer.h"

#include <stdint.h>

struct error;

struct spool {
	size_t limit;       /* bytes stored in memory */
	const char *folder; /* directory of the file */
	struct buffer memory;
	int file; /* -1 until the limit is exceeded */
	uint64_t size;
};

void spool_init(struct spool *s, size_t limit, const char *folder);

/* Append bytes. 0, or -1 with *e filled (no memory, disk full). */
int spool_append(struct spool *s, const void *data, size_t size, struct error *e);

/*
 * Call `take` with all bytes, in order and in pieces, until it returns a value other than 0, which
 * is then returned. 0 after all bytes; -1 with errno if the file cannot be read.
 */
int spool_each(struct spool *s, int (*take)(void *user, const void *data, size_t size), void *user);

void spool_release(struct spool *s);

#endif
