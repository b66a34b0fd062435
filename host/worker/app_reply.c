/*
 * A reply goes one of two ways. A plain app worker writes it into a pipe, and the front checks,
 * holds and frames it; when the client leaves, the front closes the pipe. A direct worker does all
 * of that itself, by the same functions (cgi_reply.h).
 */
#include "worker/app_reply.h"

#include "base/fd.h"
#include "binding.h"
#include "request/cgi_reply.h"
#include "request/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_MAX 64           /* for one writev(2) */
#define FILE_PIECE 0x40000000UL /* bytes */
#define MEMORY_PIECE 32768

/* Remove the bytes that were written from the pieces. */
static void advance(struct iovec **pieces, int *count, size_t written)
{
	while (*count > 0 && written >= (*pieces)->iov_len) {
		written -= (*pieces)->iov_len;
		(*pieces)++;
		(*count)--;
	}
	if (*count > 0) {
		(*pieces)->iov_base = (char *)(*pieces)->iov_base + written;
		(*pieces)->iov_len -= written;
	}
}

static int write_pieces(int fd, struct iovec *pieces, int count)
{
	while (count > 0) {
		ssize_t n = writev(fd, pieces, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		advance(&pieces, &count, (size_t)n);
	}
	return 0;
}

static int pipe_write(int fd, const struct iovec *pieces, int count)
{
	struct iovec some[PIECES_MAX];

	while (count > 0) {
		int n = count < PIECES_MAX ? count : PIECES_MAX;

		memcpy(some, pieces, (size_t)n * sizeof(*pieces));
		if (write_pieces(fd, some, n) < 0)
			return -1;
		pieces += n;
		count -= n;
	}
	return 0;
}

/*
 * A child that the app has forked holds the connection too, which may carry another request by now.
 * (A pipe carries only one request.)
 */
static bool is_child(const struct binding_reply *r)
{
	return getpid() != r->owner;
}

static int feed(struct binding_reply *r, const void *data, size_t size)
{
	if (r->refused || r->reply->request->response.failed) {
		errno = EPIPE;
		return -1;
	}
	if (cgi_reply_feed(r->reply, data, size, &r->why) < 0) {
		r->refused = true;
		errno = EPIPE;
		return -1;
	}
	return 0;
}

int binding_reply_finish(struct binding_call *call, const struct iovec *pieces, int count)
{
	struct binding_reply *r = call->reply;

	if (r->pipe >= 0)
		return pipe_write(r->pipe, pieces, count);
	if (is_child(r)) {
		errno = EPIPE;
		return -1;
	}
	/* What the app's programs have written to the lent descriptor comes before this. */
	app_reply_take_memory(r);
	for (int i = 0; i < count; i++)
		if (feed(r, pieces[i].iov_base, pieces[i].iov_len) < 0)
			return -1;
	return 0;
}

int binding_reply_write(struct binding_call *call, const struct iovec *pieces, int count)
{
	struct binding_reply *r = call->reply;

	if (binding_reply_finish(call, pieces, count) < 0)
		return -1;
	if (r->pipe < 0 && r->reply->released)
		cgi_reply_flush(r->reply);
	return 0;
}

/* 0, or -1 with errno; EINVAL: nothing was sent. */
static int pipe_send_file(int pipe, int file, uint64_t size)
{
	bool begun = false;

	while (size > 0) {
		size_t most = size < FILE_PIECE ? (size_t)size : FILE_PIECE;
		ssize_t n = sendfile(pipe, file, NULL, most);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (!begun && errno != EPIPE)
				errno = EINVAL;
			return -1;
		}
		if (n == 0)
			break;
		begun = true;
		size -= size == UINT64_MAX ? 0 : (uint64_t)n;
	}
	return 0;
}

int binding_reply_file(struct binding_call *call, int file, uint64_t size)
{
	struct binding_reply *r = call->reply;

	if (r->pipe >= 0)
		return pipe_send_file(r->pipe, file, size);
	if (is_child(r)) {
		errno = EPIPE;
		return -1;
	}
	return cgi_reply_send_file(r->reply, file, size);
}

int binding_reply_descriptor(struct binding_call *call)
{
	struct binding_reply *r = call->reply;

	if (r->pipe >= 0)
		return r->pipe;
	if (r->memory < 0)
		r->memory = fd_memory_file("exthost-reply");
	atomic_store(r->lent, r->memory);
	return r->memory;
}

/* Only the guardian (guardian.c) has limited what was written, and it may have been too late. */
static bool is_too_large(const struct binding_reply *r)
{
	struct stat status;

	return fstat(r->memory, &status) == 0 && (uint64_t)status.st_size > r->reply->most;
}

void app_reply_take_memory(struct binding_reply *r)
{
	char piece[MEMORY_PIECE];
	off_t at = 0;
	ssize_t n;

	if (r->memory < 0)
		return;
	if (!r->refused && is_too_large(r)) {
		cgi_reply_too_large(r->reply, &r->why);
		r->refused = true;
	}
	while ((n = pread(r->memory, piece, sizeof(piece), at)) > 0) {
		if (feed(r, piece, (size_t)n) < 0)
			break;
		at += n;
		if ((size_t)n < sizeof(piece))
			break;
	}
	if (n <= 0 && at == 0)
		return;
	lseek(r->memory, 0, SEEK_SET);
	(void)!ftruncate(r->memory, 0);
}

int app_reply_end(struct binding_reply *r, bool alone)
{
	app_reply_take_memory(r);
	atomic_store(r->lent, -1);
	if (!alone || r->refused || lseek(r->memory, 0, SEEK_END) != 0 ||
	    (fcntl(r->memory, F_GET_SEALS) & F_SEAL_GROW) != 0)
		fd_close(&r->memory);
	return r->memory;
}
