/*
 * When the limit is exceeded, the bytes in memory move to the file, so that all bytes are in one
 * place.
 */
#include "base/spool.h"

#include "base/error.h"
#include "base/fd.h"

#include <unistd.h>

#define PIECE 65536

void spool_init(struct spool *s, size_t limit, const char *folder)
{
	*s = (struct spool){.limit = limit, .folder = folder, .file = -1};
}

static int move_to_file(struct spool *s, struct error *e)
{
	s->file = fd_temporary_file(s->folder);
	if (s->file < 0 || fd_write_all(s->file, s->memory.data, s->memory.size) < 0)
		return error_errno(e, "temporary file in %s", s->folder);
	buffer_release(&s->memory);
	return 0;
}

int spool_append(struct spool *s, const void *data, size_t size, struct error *e)
{
	if (s->file < 0 && s->size + size > s->limit && move_to_file(s, e) < 0)
		return -1;
	if (s->file < 0 && buffer_append(&s->memory, data, size) < 0)
		return error_errno(e, "keep %zu bytes", size);
	if (s->file >= 0 && fd_write_all(s->file, data, size) < 0)
		return error_errno(e, "temporary file in %s", s->folder);
	s->size += size;
	return 0;
}

int spool_each(struct spool *s, int (*take)(void *user, const void *data, size_t size), void *user)
{
	char piece[PIECE];
	off_t at = 0;

	if (s->file < 0)
		return s->memory.size > 0 ? take(user, s->memory.data, s->memory.size) : 0;
	for (;;) {
		ssize_t n = pread(s->file, piece, sizeof(piece), at);
		int result;

		if (n <= 0)
			return (int)n;
		result = take(user, piece, (size_t)n);
		if (result != 0)
			return result;
		at += n;
	}
}

void spool_release(struct spool *s)
{
	fd_close(&s->file);
	buffer_release(&s->memory);
	s->size = 0;
}
