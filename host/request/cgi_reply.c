/*
 * A failed run must never be a complete 200. So nothing leaves before the header block is whole and
 * good; then the body is held until it ends or is larger than the buffer, unless the header block
 * says that it is wanted as it comes. For the relay it is always held to its end, since Fossil has
 * no sign for a reply that was cut.
 */
#include "request/cgi_reply.h"

#include "base/error.h"
#include "config/config.h"
#include "request/request.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void cgi_reply_init(struct cgi_reply *r, struct request *request, const struct config *config,
    const struct limits *limits)
{
	*r = (struct cgi_reply){
	    .request = request, .buffer = config->reply_buffer, .most = limits->max_reply};
	spool_init(&r->body, config->reply_buffer, config->tmpdir);
}

static int send_piece(void *user, const void *data, size_t size)
{
	struct cgi_reply *r = user;

	response_write(&r->request->response, data, size);
	return r->request->response.failed ? 1 : 0;
}

/*
 * Fossil reads a reply without a length until the relay's process is gone, and one with a length no
 * longer than that. It keeps the number in an int.
 */
static void tell_length(struct cgi_reply *r)
{
	char line[64];
	int size;

	if (r->header.length >= 0 || r->size == 0 || r->size > INT_MAX)
		return;
	size = snprintf(line, sizeof(line), "Content-Length: %d\n", (int)r->size);
	response_write(&r->request->response, line, (size_t)size);
}

static int let_go(struct cgi_reply *r, struct error *e)
{
	r->released = true;
	r->request->status = r->header.status;
	if (r->request->relay)
		tell_length(r);
	response_write(&r->request->response, r->header.text.data, r->header.text.size);
	return spool_each(&r->body, send_piece, r) < 0 ? error_errno(e, "held reply") : 0;
}

static bool is_head(const struct request *request)
{
	return strcmp(cgi_variables_text(&request->variables, "REQUEST_METHOD"), "HEAD") == 0;
}

/* Bytes that the body may still have. */
static uint64_t room(const struct cgi_reply *r)
{
	if (r->bodyless)
		return 0;
	return r->header.length < 0 ? UINT64_MAX : (uint64_t)r->header.length - r->size;
}

static void count_cut(struct cgi_reply *r, uint64_t size)
{
	if (!is_head(r->request))
		r->request->cut += size;
}

bool cgi_reply_is_sent(const struct cgi_reply *r)
{
	return r->released && r->request->response.waiting.size == 0 &&
	       !r->request->response.failed && room(r) == 0;
}

static void tell_sent(struct cgi_reply *r)
{
	if (r->sent != NULL && cgi_reply_is_sent(r))
		atomic_store_explicit(r->sent, r->header.status, memory_order_release);
}

void cgi_reply_flush(struct cgi_reply *r)
{
	response_flush(&r->request->response);
	tell_sent(r);
}

int cgi_reply_too_large(const struct cgi_reply *r, struct error *e)
{
	return error_set(
	    e, "the reply is larger than --max-reply, %llu bytes", (unsigned long long)r->most);
}

/* These bytes belong to the body. */
static int take_body(struct cgi_reply *r, const void *data, size_t size, struct error *e)
{
	if (!r->released && !r->request->hold && r->size + size > r->buffer && let_go(r, e) < 0)
		return -1;
	if (!r->released && r->size + size > r->most)
		return cgi_reply_too_large(r, e);
	r->size += size;
	if (!r->released)
		return spool_append(&r->body, data, size, e);
	send_piece(r, data, size);
	/* What comes slowly is wanted as it comes. */
	if (!r->lazy)
		cgi_reply_flush(r);
	else
		tell_sent(r);
	return 0;
}

static int feed_body(struct cgi_reply *r, const void *data, size_t size, struct error *e)
{
	size_t n = size < room(r) ? size : (size_t)room(r);

	if (n < size)
		count_cut(r, size - n);
	return n > 0 ? take_body(r, data, n, e) : 0;
}

/* The header is wanted at once, too: with it a client knows that it will get something. */
static int stream(struct cgi_reply *r, struct error *e)
{
	if (let_go(r, e) < 0)
		return -1;
	if (!r->lazy)
		cgi_reply_flush(r);
	return 0;
}

static int take_header(struct cgi_reply *r, size_t end, struct error *e)
{
	enum cgi_header_peer peer = r->request->relay ? REPLY_FOR_FOSSIL : REPLY_FOR_WEB_SERVER;

	if (cgi_header_read(&r->header, peer, r->block.data, end, e) < 0)
		return -1;
	r->has_header = true;
	r->request->dropped = r->header.dropped;
	r->bodyless = r->header.status == 204 || r->header.status == 304 ||
		      (is_head(r->request) && !r->request->relay);
	return r->header.streams && !r->request->hold ? stream(r, e) : 0;
}

int cgi_reply_feed(struct cgi_reply *r, const void *data, size_t size, struct error *e)
{
	enum cgi_header_peer peer = r->request->relay ? REPLY_FOR_FOSSIL : REPLY_FOR_WEB_SERVER;
	size_t end;

	if (r->has_header)
		return feed_body(r, data, size, e);
	if (buffer_append(&r->block, data, size) < 0)
		return error_errno(e, "header block");
	end = cgi_header_end(r->block.data, r->block.size);
	if (end == 0 && r->block.size > cgi_header_most(peer))
		return error_set(
		    e, "the header block is longer than %zu bytes", cgi_header_most(peer));
	if (end == 0)
		return 0;
	if (take_header(r, end, e) < 0)
		return -1;
	return r->block.size > end ? feed_body(r, r->block.data + end, r->block.size - end, e) : 0;
}

/* Bytes of the file beyond its offset, at most so many. */
static uint64_t rest_of(int file, uint64_t most)
{
	off_t at = lseek(file, 0, SEEK_CUR);
	struct stat status;

	if (most == 0 || at < 0 || fstat(file, &status) < 0 || at >= status.st_size)
		return 0;
	return (uint64_t)(status.st_size - at) < most ? (uint64_t)(status.st_size - at) : most;
}

int cgi_reply_send_file(struct cgi_reply *r, int file, uint64_t size)
{
	struct error e;
	uint64_t sent;
	int result = 0;

	if (!r->has_header || r->request->hold) {
		errno = EINVAL;
		return -1;
	}
	sent = size < room(r) ? size : room(r);
	if (!r->released && sent > 0 && let_go(r, &e) < 0)
		return -1;
	size -= sent;
	if (sent > 0)
		result = response_send_file(&r->request->response, file, &sent);
	r->size += sent;
	if (result == 0 && size > 0)
		count_cut(r, rest_of(file, size));
	tell_sent(r);
	return result;
}

/* A reply without a body may have the length that a reply to GET would have (RFC 9110, 8.6). */
static bool is_short(const struct cgi_reply *r)
{
	return r->header.length > (int64_t)r->size && !r->bodyless && !is_head(r->request);
}

int cgi_reply_finish(struct cgi_reply *r, struct error *e)
{
	if (!r->has_header)
		return error_set(e, r->block.size > 0 ? "the output ends within the header block: "
							"no empty line"
						      : "no output");
	if (is_short(r))
		return error_set(e, "Content-Length is %lld, but the body has %llu bytes",
		    (long long)r->header.length, (unsigned long long)r->size);
	if (!r->released && let_go(r, e) < 0)
		return -1;
	response_end(&r->request->response);
	return 0;
}

void cgi_reply_release(struct cgi_reply *r)
{
	buffer_release(&r->block);
	cgi_header_release(&r->header);
	spool_release(&r->body);
}

void cgi_reply_status_line(struct request *request, int status)
{
	char line[64];
	int size =
	    snprintf(line, sizeof(line), "Status: %d %s\r\n", status, cgi_header_reason(status));

	request->status = status;
	response_write(&request->response, line, (size_t)size);
}
