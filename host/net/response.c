/*
 * Records are gathered so that a small reply with its END_REQUEST leaves in one write. libfcgi
 * could write them too, in pieces of 8 KiB; it is not used on this side, and a large body goes out
 * in records of the largest size without being copied.
 */
#include "net/response.h"

#include "base/clock.h"
#include "net/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define GATHER_BYTES 16384         /* a larger piece is sent at once, uncopied */
#define CLIENT_TIMEOUT_MS 60000    /* in which it must take something */
#define RECORD_CONTENT_BYTES 65528 /* the largest content that needs no padding */
#define LARGE_FILE_BYTES 262144    /* of a file, for which SO_SNDBUF is raised */
#define SEND_BUFFER_BYTES 1048576

/* true: it takes more. */
static bool wait_for_client(struct response *r)
{
	struct pollfd event = {.fd = r->fd, .events = POLLOUT};
	uint64_t now = clock_now();
	int timeout_ms = CLIENT_TIMEOUT_MS;

	if (r->deadline != 0 && (r->deadline - now) / 1000000 < (uint64_t)timeout_ms)
		timeout_ms = (int)((r->deadline - now) / 1000000) + 1;
	r->late = (r->deadline != 0 && now >= r->deadline) || poll(&event, 1, timeout_ms) == 0;
	return !r->late;
}

/* The end of a record can be sent yet: response_cut. */
static void keep_left(struct response *r, const struct iovec *parts, int count)
{
	for (int i = 0; r->late && i < count; i++)
		if (buffer_append(&r->left, parts[i].iov_base, parts[i].iov_len) < 0)
			r->late = false;
}

bool response_is_aborted(const struct response *r)
{
	return r->given_up ||
	       (!r->failed && r->aborted != NULL && atomic_load(r->aborted) == r->turn);
}

static void send_parts(struct response *r, struct iovec *parts, int count)
{
	/* Here between two records. */
	r->given_up = response_is_aborted(r);
	r->failed = r->failed || r->given_up;
	if (r->begun != NULL)
		atomic_store_explicit(r->begun, true, memory_order_release);
	while (count > 0 && !r->failed) {
		struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
		ssize_t n = r->fastcgi ? sendmsg(r->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)
				       : writev(r->fd, parts, count);

		if (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_client(r))))
			continue;
		if (n < 0) {
			r->failed = true;
			keep_left(r, parts, count);
			return;
		}
		while (count > 0 && (size_t)n >= parts->iov_len) {
			n -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + n;
			parts->iov_len -= (size_t)n;
		}
	}
}

void response_flush(struct response *r)
{
	struct iovec part = {.iov_base = r->waiting.data, .iov_len = r->waiting.size};

	if (part.iov_len > 0)
		send_parts(r, &part, 1);
	r->waiting.size = 0;
}

static void gather(struct response *r, const void *data, size_t size)
{
	if (buffer_append(&r->waiting, data, size) < 0)
		r->failed = true;
}

static void write_record(struct response *r, const void *data, size_t size)
{
	static const unsigned char zeros[8];
	unsigned char header[WIRE_HEADER];
	size_t header_size =
	    r->fastcgi ? wire_record_write(header, WIRE_STDOUT, r->request_id, size) : 0;
	size_t padding = r->fastcgi ? wire_padding(size) : 0;

	if (size < GATHER_BYTES) {
		gather(r, header, header_size);
		gather(r, data, size);
		gather(r, zeros, padding);
		if (r->waiting.size >= GATHER_BYTES)
			response_flush(r);
	} else {
		struct iovec parts[4] = {{.iov_base = r->waiting.data, .iov_len = r->waiting.size},
		    {.iov_base = header, .iov_len = header_size},
		    {.iov_base = (void *)data, .iov_len = size},
		    {.iov_base = (void *)zeros, .iov_len = padding}};

		send_parts(r, parts, 4);
		r->waiting.size = 0;
	}
}

void response_write(struct response *r, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0 && !r->failed) {
		size_t n = size < RECORD_CONTENT_BYTES ? size : RECORD_CONTENT_BYTES;

		write_record(r, at, n);
		r->sent += r->failed ? 0 : n;
		at += n;
		size -= n;
	}
}

/*
 * size bytes of the file's, without a copy. How many were sent: fewer if the client is gone or the
 * file ends.
 */
static size_t send_piece_of_file(struct response *r, int file, size_t size)
{
	size_t sent = 0;

	while (sent < size && !r->failed) {
		ssize_t n = sendfile(r->fd, file, NULL, size - sent);

		if (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_client(r))))
			continue;
		if (n == 0)
			break;
		if (n < 0)
			r->failed = true;
		else
			sent += (size_t)n;
	}
	/* The rest of the record may be any bytes, as the reply is cut. */
	if (sent < size && r->late && buffer_reserve(&r->left, size - sent) == 0) {
		memset(r->left.data, 0, size - sent);
		r->left.size = size - sent;
	}
	return sent;
}

/*
 * The file has become shorter than it was when its record began. Fill the record up, since clients
 * understand response_cut only between two records; the bytes do not matter, as the reply is cut.
 */
static void fill_record(struct response *r, size_t size)
{
	static const char zeros[4096];

	for (size_t n; size > 0; size -= n) {
		n = size < sizeof(zeros) ? size : sizeof(zeros);
		gather(r, zeros, n);
	}
	response_flush(r);
}

static size_t left_of_file(int file, uint64_t most)
{
	struct stat status;
	off_t at = lseek(file, 0, SEEK_CUR);

	if (at < 0 || fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || at > status.st_size)
		return SIZE_MAX;
	return (uint64_t)(status.st_size - at) < most ? (size_t)(status.st_size - at)
						      : (size_t)most;
}

int response_send_file(struct response *r, int file, uint64_t *size)
{
	size_t left = left_of_file(file, *size);

	*size = 0;
	if (left == SIZE_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (left > LARGE_FILE_BYTES)
		setsockopt(r->fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER_BYTES}, sizeof(int));
	while (left > 0 && !r->failed) {
		unsigned char header[WIRE_HEADER];
		size_t n = left < RECORD_CONTENT_BYTES ? left : RECORD_CONTENT_BYTES;
		size_t sent;

		/* A multiple of 8 needs no padding; the last piece goes the ordinary way. */
		if (n < RECORD_CONTENT_BYTES && r->fastcgi)
			n -= n % 8;
		if (n == 0)
			break;
		if (r->fastcgi)
			gather(r, header, wire_record_write(header, WIRE_STDOUT, r->request_id, n));
		response_flush(r);
		sent = send_piece_of_file(r, file, n);
		r->sent += sent;
		*size += sent;
		left -= sent;
		if (sent < n && !r->failed) {
			if (r->fastcgi)
				fill_record(r, n - sent);
			errno = EIO;
			return -1;
		}
	}
	if (left > 0 && !r->failed) {
		char piece[8];
		ssize_t n = read(file, piece, left);

		response_write(r, piece, n > 0 ? (size_t)n : 0);
		*size += n > 0 ? (size_t)n : 0;
	}
	errno = EPIPE;
	return r->failed ? -1 : 0;
}

void response_end(struct response *r)
{
	unsigned char end[WIRE_HEADER + WIRE_FIXED];
	size_t n = 0;

	if (r->fastcgi) {
		n = wire_record_write(end, WIRE_STDOUT, r->request_id, 0);
		n += wire_end_write(end + n, r->request_id, 0, WIRE_REQUEST_COMPLETE);
	}
	gather(r, end, n);
	response_flush(r);
}

void response_cut(struct response *r)
{
	unsigned char poison[WIRE_HEADER];

	if (r->late) {
		r->late = r->failed = false;
		r->deadline = 0;
		r->waiting.size = 0;
		gather(r, r->left.data, r->left.size);
	}
	if (r->fastcgi)
		gather(r, poison, wire_record_write(poison, WIRE_POISON, r->request_id, 0));
	response_flush(r);
}

int response_take_cut(struct response *r, struct buffer *rest)
{
	unsigned char poison[WIRE_HEADER];

	if (!r->late)
		return -1;
	*rest = r->left;
	r->left = (struct buffer){0};
	return buffer_append(
	    rest, poison, wire_record_write(poison, WIRE_POISON, r->request_id, 0));
}

/*
 * After the record, which ends a reply at a boundary, comes an impossible version from anywhere
 * else.
 */
void response_cut_blindly(struct response *r)
{
	static const unsigned char never[WIRE_HEADER] = {
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	unsigned char poison[WIRE_HEADER];

	gather(r, poison, wire_record_write(poison, WIRE_POISON, r->request_id, 0));
	for (size_t size = 0; size < RESPONSE_CUT_MAX - 2 * WIRE_HEADER; size += sizeof(never))
		gather(r, never, sizeof(never));
	response_flush(r);
}

void response_release(struct response *r)
{
	buffer_release(&r->waiting);
	buffer_release(&r->left);
}
