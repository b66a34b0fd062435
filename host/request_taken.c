/*
 * A request decoded by wire alone. Most heads come whole and are given to libfcgi; but one that a
 * client writes in many small pieces would fill the socket before it is complete, one with padding
 * behind BEGIN_REQUEST libfcgi misreads, and of two requests sent at once it would lose the second.
 * Those are taken off the socket, and read from here.
 */
#include "request.h"

#include "config.h"
#include "error.h"
#include "wire_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PIECE 65536

/* The bytes of the connection: first those that are taken already, then those in the socket. */
struct source {
	struct buffer *taken;
	int connection;
};

/* Up to `size` bytes, at least one. 0: the client has ended, or sent nothing for too long. */
static size_t read_some(struct source *s, unsigned char *data, size_t size)
{
	size_t n = s->taken->size < size ? s->taken->size : size;
	ssize_t got;

	if (n > 0) {
		memcpy(data, s->taken->data, n);
		buffer_consume(s->taken, n);
		return n;
	}
	do
		got = recv(s->connection, data, size, 0);
	while (got < 0 && errno == EINTR);
	return got > 0 ? (size_t)got : 0;
}

static int read_exactly(struct source *s, unsigned char *data, size_t size)
{
	while (size > 0) {
		size_t n = read_some(s, data, size);

		if (n == 0)
			return -1;
		data += n;
		size -= n;
	}
	return 0;
}

static int take_variables(
    struct request *r, const unsigned char *block, size_t size, struct error *e)
{
	struct wire_param p;

	while (wire_param_next(&block, &size, &p) == 1) {
		char *item;
		int result = -1;

		/* As libfcgi, where the name stands for the role of the request. */
		if (p.name_size == 9 && memcmp(p.name, "FCGI_ROLE", 9) == 0)
			continue;
		item = malloc(p.name_size + p.value_size + 2);
		if (item != NULL) {
			memcpy(item, p.name, p.name_size);
			item[p.name_size] = '=';
			memcpy(item + p.name_size + 1, p.value, p.value_size);
			item[p.name_size + 1 + p.value_size] = '\0';
			result = variables_add(&r->variables, item);
		}
		free(item);
		if (result < 0)
			return error_errno(e, "variables of the request");
	}
	return 0;
}

/* Multiplexing is not for us (FastCGI, 3.3): a second request meanwhile is told so, if it listens. */
static void refuse_second(int connection, uint16_t id)
{
	unsigned char end[WIRE_FIXED];
	size_t n = wire_end_write(end, id, 0, WIRE_CANT_MPX_CONN);

	send(connection, end, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The contents of the request's PARAMS, one behind the other; there is room for all. */
static size_t join_params(
    const struct wire_check *check, const unsigned char *bytes, unsigned char *block)
{
	struct wire_header header;
	size_t size = 0;

	for (size_t at = 0; at < check->take; at += header.content + header.padding) {
		wire_header_read(bytes + at, &header);
		at += WIRE_HEADER;
		if (header.type != WIRE_PARAMS || header.request_id != check->request_id)
			continue;
		memcpy(block + size, bytes + at, header.content);
		size += header.content;
	}
	return size;
}

/* Those that have begun between the request's PARAMS. */
static void refuse_others(
    const struct wire_check *check, const unsigned char *bytes, int connection)
{
	struct wire_header header;

	for (size_t at = 0; at < check->take; at += header.content + header.padding) {
		wire_header_read(bytes + at, &header);
		at += WIRE_HEADER;
		if (header.type == WIRE_BEGIN_REQUEST && header.request_id != check->request_id)
			refuse_second(connection, header.request_id);
	}
}

static int take_head(struct request *r, struct buffer *taken, const struct wire_check *check,
    const struct config *config, struct error *e)
{
	unsigned char *block = malloc(config->max_header);
	size_t size;
	int result;

	if (block == NULL)
		return error_errno(e, "variables of the request");
	size = join_params(check, (unsigned char *)taken->data, block);
	result = take_variables(r, block, size, e);
	free(block);
	buffer_consume(taken, check->take);
	return result;
}

/* The content of one record, given to the body or forgotten. 0, a status, or -1: it is cut. */
static int take_content(struct request *r, struct source *s, struct request_body *body,
    const struct wire_header *header, bool wanted, const struct config *config, struct error *e)
{
	unsigned char piece[PIECE];
	size_t left = header->content;

	while (left > 0) {
		size_t n = read_some(s, piece, left < sizeof(piece) ? left : sizeof(piece));
		int status;

		if (n == 0)
			return -1;
		status = wanted ? request_body_add(r, body, piece, n, config, e) : 0;
		if (status != 0)
			return status;
		left -= n;
	}
	return read_exactly(s, piece, header->padding);
}

static int aborted(struct error *e)
{
	return error_set(e, "the client aborted the request"), REQUEST_ABORTED;
}

int request_read_taken(struct request *r, struct buffer *taken, const struct wire_check *check,
    int connection, const struct config *config, struct error *e)
{
	struct source source = {.taken = taken, .connection = connection};
	struct request_body body;
	int status;

	refuse_others(check, (unsigned char *)taken->data, connection);
	if (take_head(r, taken, check, config, e) < 0)
		return 500;
	request_body_begin(r, &body, config, e);
	for (;;) {
		unsigned char bytes[WIRE_HEADER];
		struct wire_header header;
		bool ours;

		if (read_exactly(&source, bytes, sizeof(bytes)) < 0)
			break;
		wire_header_read(bytes, &header);
		if (header.version != WIRE_VERSION)
			return error_set(e, "not a FastCGI record of version 1"), -1;
		ours = header.request_id == check->request_id;
		if (ours && header.type == WIRE_BEGIN_REQUEST)
			return error_set(e, "a second BEGIN_REQUEST of the same request"), -1;
		if (ours && header.type == WIRE_ABORT_REQUEST)
			return take_content(r, &source, &body, &header, false, config, e) < 0
				   ? -1
				   : aborted(e);
		if (header.type == WIRE_BEGIN_REQUEST)
			refuse_second(connection, header.request_id);
		if (ours && header.type == WIRE_STDIN && header.content == 0)
			return take_content(r, &source, &body, &header, false, config, e) < 0
				   ? -1
				   : request_body_end(r, &body, e);
		status = take_content(
		    r, &source, &body, &header, ours && header.type == WIRE_STDIN, config, e);
		if (status > 0)
			return status;
		if (status < 0)
			break;
	}
	return error_set(e, "the body ends after %llu bytes, without its end record",
		   (unsigned long long)body.seen),
	       400;
}
