/*
 * Decodes a request record by record, without libfcgi and without waiting: for direct workers,
 * whose one thread must not wait, and for requests that the front cannot give to libfcgi. A head
 * that a client writes in many small pieces would fill the socket before it is complete; libfcgi
 * misreads a head with padding behind BEGIN_REQUEST; and of two requests sent at once it would
 * lose the second.
 */
#include "base/clock.h"
#include "request/request.h"

#include "base/error.h"
#include "config/config.h"
#include "net/wire_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LISTEN 4096 /* bytes read at once behind a request that is being answered */

/*
 * Turn the pairs into "NAME=value" strings in place: the two lengths in front of a pair leave room
 * for '=' and the NUL. 0 or 500.
 */
static int take_variables(struct request *r, unsigned char *block, size_t size, struct error *e)
{
	const unsigned char *rest = block;
	char *at = (char *)block;
	struct wire_param p;
	int status = 0;

	while (status == 0 && wire_param_next(&rest, &size, &p) == 1) {
		char *item = at;

		memmove(item, p.name, p.name_size);
		item[p.name_size] = '=';
		memmove(item + p.name_size + 1, p.value, p.value_size);
		item[p.name_size + 1 + p.value_size] = '\0';
		at = (char *)rest;
		status = request_add_variable(r, item, p.name_size, e);
	}
	return status;
}

/* A second request on the connection: there is no multiplexing (FastCGI, 3.3). Never waits. */
static void refuse_second(int connection, uint16_t id)
{
	unsigned char end[WIRE_FIXED];
	size_t n = wire_end_write(end, id, 0, WIRE_CANT_MPX_CONN);

	send(connection, end, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Join the contents of the request's PARAMS records in `block`, which is as large as the head. */
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

/* Refuse requests that began between the request's PARAMS. */
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

static int take_head(
    struct request *r, struct buffer *taken, const struct wire_check *check, struct error *e)
{
	unsigned char *block = malloc(check->take);
	size_t size;
	int result;

	if (block == NULL)
		return error_errno(e, "variables of the request"), 500;
	cgi_variables_take_block(&r->variables, block, check->take);
	size = join_params(check, (unsigned char *)taken->data, block);
	result = take_variables(r, block, size, e);
	buffer_consume(taken, check->take);
	return result;
}

int request_taken_begin(struct request *r, struct request_taken *t, struct buffer *taken,
    const struct wire_check *check, const struct config *config, struct error *e)
{
	int status;

	*t = (struct request_taken){.config = config, .id = check->request_id};
	refuse_others(check, (unsigned char *)taken->data, r->response.fd);
	status = take_head(r, taken, check, e);
	if (status == 0)
		status = request_body_begin(r, &t->body, config, e);
	return status != 0 ? status : REQUEST_MORE;
}

static int aborted(struct error *e)
{
	return error_set(e, "the client aborted the request"), REQUEST_ABORTED;
}

/* A record's header is there. 0, or -1 with *e: such a record must not come here. */
static int begin_record(struct request *r, struct request_taken *t, struct error *e)
{
	bool ours;

	wire_header_read(t->partial, &t->header);
	t->have = 0;
	t->content = t->header.content;
	t->padding = t->header.padding;
	ours = t->header.request_id == t->id;
	if (t->header.version != WIRE_VERSION)
		return error_set(e, "not a FastCGI record of version 1"), -1;
	if (ours && t->header.type == WIRE_BEGIN_REQUEST)
		return error_set(e, "a second BEGIN_REQUEST of the same request"), -1;
	if (t->header.type == WIRE_BEGIN_REQUEST)
		refuse_second(r->response.fd, t->header.request_id);
	t->is_body = ours && t->header.type == WIRE_STDIN;
	t->is_last =
	    (t->is_body && t->content == 0) || (ours && t->header.type == WIRE_ABORT_REQUEST);
	return 0;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Take bytes of the present record, or of the next one's header. Returns REQUEST_MORE, or as
 * request_taken_read.
 */
static int feed_some(struct request *r, struct request_taken *t, const unsigned char *bytes,
    size_t size, size_t *used, struct error *e)
{
	size_t n;
	int status = 0;

	if (t->content > 0) {
		n = least(t->content, size);
		status = t->is_body ? request_body_add(r, &t->body, bytes, n, t->config, e) : 0;
		t->content -= n;
	} else if (t->padding > 0) {
		n = least(t->padding, size);
		t->padding -= n;
	} else {
		n = least(WIRE_HEADER - t->have, size);
		memcpy(t->partial + t->have, bytes, n);
		t->have += n;
		if (t->have == WIRE_HEADER && begin_record(r, t, e) < 0)
			status = -1;
	}
	*used += n;
	if (status != 0)
		return status;
	if (!t->is_last || t->content > 0 || t->padding > 0)
		return REQUEST_MORE;
	return t->header.type == WIRE_ABORT_REQUEST ? aborted(e) : request_body_end(r, &t->body, e);
}

/* The body is whole, and the record with its last byte is at its end. */
static bool is_whole(const struct request *r, const struct request_taken *t)
{
	return t->have + t->content + t->padding == 0 && request_body_is_whole(r, &t->body);
}

/*
 * Behind a body of known length, the rest of its stream or an abort may have come with it. Other
 * bytes are left; later they pass for records of no request.
 */
static int take_end(struct request *r, struct request_taken *t, const unsigned char *bytes,
    size_t size, size_t *used, struct error *e)
{
	struct wire_header header = {.content = 1};

	r->unended = true;
	while (header.content > 0 && size >= WIRE_HEADER) {
		size_t record;

		wire_header_read(bytes, &header);
		record = (size_t)WIRE_HEADER + header.content + header.padding;
		if (header.version != WIRE_VERSION || header.request_id != t->id || record > size)
			break;
		if (header.type != WIRE_STDIN && header.type != WIRE_ABORT_REQUEST)
			break;
		*used += record;
		bytes += record;
		size -= record;
		if (header.type == WIRE_ABORT_REQUEST)
			return aborted(e);
		r->unended = header.content > 0;
	}
	return request_body_end(r, &t->body, e);
}

/* Take the bytes that have come; *used of them belong to the request. Returns as feed_some. */
static int feed(struct request *r, struct request_taken *t, const unsigned char *bytes, size_t size,
    size_t *used, struct error *e)
{
	int status = REQUEST_MORE;

	*used = 0;
	while (status == REQUEST_MORE && *used < size && !is_whole(r, t))
		status = feed_some(r, t, bytes + *used, size - *used, used, e);
	if (status != REQUEST_MORE || !is_whole(r, t))
		return status;
	return take_end(r, t, bytes + *used, size - *used, used, e);
}

static bool is_late(const struct request *r, const struct request_taken *t)
{
	return clock_now() >= request_body_due(r, &t->body, t->config);
}

static int late(const struct request_taken *t, struct error *e)
{
	return error_set(e,
		   "the body has %llu bytes yet, after --body-timeout %llu s and a second for each "
		   "KiB",
		   (unsigned long long)t->body.seen, (unsigned long long)t->config->body_timeout),
	       408;
}

int request_taken_read(struct request *r, struct request_taken *t, struct buffer *taken,
    unsigned char *buffer, size_t size, struct error *e)
{
	size_t used;
	int status = feed(r, t, (unsigned char *)taken->data, taken->size, &used, e);

	buffer_consume(taken, used);
	while (status == REQUEST_MORE) {
		ssize_t n = recv(r->response.fd, buffer, size, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return is_late(r, t) ? late(t, e) : REQUEST_MORE;
		if (n <= 0)
			return request_body_cut(&t->body, e);
		status = feed(r, t, buffer, (size_t)n, &used, e);
		if (used < (size_t)n && buffer_append(taken, buffer + used, (size_t)n - used) < 0)
			return error_errno(e, "request"), -1;
		/* Records that are no body may come without end. */
		if (status == REQUEST_MORE && is_late(r, t))
			return late(t, e);
	}
	return status;
}

/* Look at the records in r->behind, and drop those of the request's stream. */
static enum request_heard hear(struct request *r)
{
	while (r->behind.size >= WIRE_HEADER) {
		struct wire_header header;
		size_t record;

		wire_header_read((unsigned char *)r->behind.data, &header);
		record = (size_t)WIRE_HEADER + header.content + header.padding;
		if (header.version != WIRE_VERSION || header.request_id != r->response.request_id)
			return REQUEST_HEARD_OTHER;
		if (header.type == WIRE_ABORT_REQUEST)
			return REQUEST_HEARD_ABORT;
		if (header.type != WIRE_STDIN)
			return REQUEST_HEARD_OTHER;
		if (record > r->behind.size)
			break;
		buffer_consume(&r->behind, record);
	}
	return REQUEST_HEARD_NOTHING;
}

enum request_heard request_listen(struct request *r)
{
	enum request_heard heard = hear(r);

	while (heard == REQUEST_HEARD_NOTHING) {
		unsigned char bytes[LISTEN];
		ssize_t n = -1;

		if (buffer_reserve(&r->behind, sizeof(bytes)) < 0)
			return REQUEST_HEARD_OTHER;
		n = recv(r->response.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0)
			return REQUEST_HEARD_OTHER;
		buffer_append(&r->behind, bytes, (size_t)n);
		heard = hear(r);
	}
	return heard;
}

bool request_is_aborted(
    int connection, uint16_t request_id, const unsigned char *behind, size_t taken)
{
	unsigned char bytes[WIRE_HEADER + LISTEN];
	struct wire_header header = {0};
	size_t size = least(taken, WIRE_HEADER), record = 0;
	ssize_t n;

	memcpy(bytes, behind, size);
	n = recv(connection, bytes + size, LISTEN, MSG_PEEK | MSG_DONTWAIT);
	size += n > 0 ? (size_t)n : 0;
	for (size_t at = 0; size - at >= WIRE_HEADER; at += record) {
		wire_header_read(bytes + at, &header);
		record = (size_t)WIRE_HEADER + header.content + header.padding;
		if (header.version != WIRE_VERSION || header.request_id != request_id)
			return false;
		if (header.type != WIRE_STDIN || record > size - at)
			break;
	}
	return header.type == WIRE_ABORT_REQUEST && header.request_id == request_id;
}
