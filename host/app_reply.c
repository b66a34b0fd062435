/*
 * The front checks, holds and frames the reply; here it only goes into a pipe. A client that has
 * gone shows as a pipe that nobody reads.
 */
#include "app_reply.h"

#include "binding.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_MAX 64 /* at a time */

/* Leave out of the pieces what has been written. */
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

int binding_reply_write(struct binding_call *call, const struct iovec *pieces, int count)
{
	struct iovec some[PIECES_MAX];

	while (count > 0) {
		int n = count < PIECES_MAX ? count : PIECES_MAX;

		memcpy(some, pieces, (size_t)n * sizeof(*pieces));
		if (write_pieces(call->reply->pipe, some, n) < 0)
			return -1;
		pieces += n;
		count -= n;
	}
	return 0;
}

int binding_reply_file(struct binding_call *call, int file, uint64_t size)
{
	bool begun = false;

	while (size > 0) {
		size_t most = size < SSIZE_MAX / 2 ? (size_t)size : SSIZE_MAX / 2;
		ssize_t n = sendfile(call->reply->pipe, file, NULL, most);

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

int binding_reply_descriptor(struct binding_call *call)
{
	return call->reply->pipe;
}
