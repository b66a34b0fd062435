/*
 * The first 64 KiB of a reply stay in memory, the rest goes into an unlinked file (in memory if no
 * directory is writable). So a host that is killed in the middle of its reply cannot turn it into
 * half a page.
 */
#include "relay/relay_reply.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 65536

void relay_reply_init(struct relay_reply *reply, uint16_t request_id)
{
	reply->wire.request_id = request_id;
	reply->file = -1;
	reply->status = 502;
}

static int open_file(void)
{
	const char *directory = getenv("TMPDIR");
	int fd = open(directory != NULL ? directory : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : fd_memory_file("exthost-reply");
}

static int keep(struct relay_reply *reply, const unsigned char *data, size_t size)
{
	size_t room = RELAY_MEMORY - reply->memory_size;
	size_t n = size < room ? size : room;

	memcpy(reply->memory + reply->memory_size, data, n);
	reply->memory_size += n;
	if (n == size)
		return 0;
	if (reply->file < 0)
		reply->file = open_file();
	if (reply->file < 0 || fd_write_all(reply->file, data + n, size - n) < 0) {
		reply->reason = "no place for the reply";
		return -1;
	}
	return 0;
}

static int judge_end(struct relay_reply *reply)
{
	if (reply->wire.protocol_status == WIRE_REQUEST_COMPLETE && reply->memory_size > 0)
		return 1;
	reply->reason = "the host refused the request";
	if (reply->wire.protocol_status == WIRE_REQUEST_COMPLETE)
		reply->reason = "the host's reply is empty";
	if (reply->wire.protocol_status == WIRE_OVERLOADED) {
		reply->status = 503;
		reply->reason = "the host is overloaded";
	}
	return -1;
}

/* Decode the bytes of one read. */
static int take(struct relay_reply *reply, const unsigned char *bytes, size_t size)
{
	for (;;) {
		const unsigned char *data;
		size_t data_size;

		switch (wire_reply_next(&reply->wire, &bytes, &size, &data, &data_size)) {
		case WIRE_REPLY_MORE: return 0;
		case WIRE_REPLY_STDOUT:
			if (keep(reply, data, data_size) < 0)
				return -1;
			break;
		case WIRE_REPLY_STDERR: fd_write_all(STDERR_FILENO, data, data_size); break;
		case WIRE_REPLY_END: return judge_end(reply);
		case WIRE_REPLY_BROKEN: reply->reason = reply->wire.reason; return -1;
		}
	}
}

int relay_reply_read(struct relay_reply *reply, int host)
{
	unsigned char bytes[PIECE];
	ssize_t n = recv(host, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		reply->reason = "the host went away in the middle of the reply";
		return -1;
	}
	return take(reply, bytes, (size_t)n);
}

int relay_reply_print(struct relay_reply *reply)
{
	unsigned char bytes[PIECE];
	off_t at = 0;
	ssize_t n;

	if (fd_write_all(STDOUT_FILENO, reply->memory, reply->memory_size) < 0)
		return 1;
	while (reply->file >= 0 && (n = pread(reply->file, bytes, sizeof(bytes), at)) > 0) {
		if (fd_write_all(STDOUT_FILENO, bytes, (size_t)n) < 0)
			return 1;
		at += n;
	}
	return 0;
}

int relay_reply_page(int status, const char *reason)
{
	const char *words = "Bad Gateway";

	switch (status) {
	case 400: words = "Bad Request"; break;
	case 500: words = "Internal Server Error"; break;
	case 503: words = "Service Unavailable"; break;
	default: break;
	}
	dprintf(STDERR_FILENO, "exthost-cgi: %d: %s\n", status, reason);
	dprintf(STDOUT_FILENO,
	    "Status: %d %s\r\nContent-Type: text/html; charset=utf-8\r\n%s\r\n"
	    "<div class='fossil-doc' data-title='%d %s'>\n<h2>%s</h2>\n"
	    "<p>The request was not answered: %s.</p>\n</div>\n",
	    status, words, status == 503 ? "Retry-After: 1\r\n" : "", status, words, words, reason);
	return 0;
}
