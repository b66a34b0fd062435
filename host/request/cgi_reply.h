/*
 * A script's reply as it comes in: the header block is checked, the body is held back, and once it
 * is known good (or too large to be held) it goes to the client.
 */
#ifndef EXTHOST_CGI_REPLY_H
#define EXTHOST_CGI_REPLY_H

#include "base/spool.h"
#include "request/cgi_header.h"

#include <stdatomic.h>

struct config;
struct error;
struct limits;
struct request;

struct cgi_reply {
	struct request *request;
	size_t buffer;       /* bytes of the body that are held; with more, the reply is released */
	uint64_t most;       /* bytes of a body that is held to its end */
	struct buffer block; /* the header block, while it is not complete */
	bool has_header;
	bool bodyless; /* 204, 304 or HEAD: the script's body is not sent */
	struct cgi_header header;
	struct spool body;
	uint64_t size; /* bytes of the body, held or sent; none beyond its Content-Length */
	bool lazy;     /* released bytes wait until the caller flushes the response */
	bool released; /* header and body are sent as they come: a failure can only cut the reply */
	/* For another process: set to the status once cgi_reply_is_sent. May be NULL. */
	atomic_int *sent;
};

void cgi_reply_init(struct cgi_reply *r, struct request *request, const struct config *config,
    const struct limits *limits);

/*
 * More output of the script. 0, or -1 with *e: the header block is refused, or no place is left.
 *
 * The body of a reply to HEAD is not sent (RFC 3875, 4.3.2; but to Fossil, which counts it and
 * sends none), nor that of a 204 or 304, nor what is longer than the Content-Length: web servers
 * cut that, send it all or answer 502. It is no failure: request->cut counts these bytes, but for
 * HEAD.
 */
int cgi_reply_feed(struct cgi_reply *r, const void *data, size_t size, struct error *e);

/* Set *e to that, and return -1. */
int cgi_reply_too_large(const struct cgi_reply *r, struct error *e);

/*
 * Send what is held, and then the rest of the reply out of a file, from its offset: size bytes, or
 * to its end if size is UINT64_MAX. 0, or -1 with errno, as response_send_file; EINVAL also if
 * there is no header block yet, or the reply is held to its end.
 */
int cgi_reply_send_file(struct cgi_reply *r, int file, uint64_t size);

/* Send the released bytes that wait, in a reply that is `lazy`. */
void cgi_reply_flush(struct cgi_reply *r);

/*
 * Everything that the header block announces is in the client's connection, though the run may go
 * on: a client that leaves now has its reply. Never true of a body without a Content-Length.
 */
bool cgi_reply_is_sent(const struct cgi_reply *r);

/*
 * The output is at its end. 0 when the reply is whole and is on its way; -1 with *e: no header
 * block, or fewer bytes than its Content-Length.
 */
int cgi_reply_finish(struct cgi_reply *r, struct error *e);

void cgi_reply_release(struct cgi_reply *r);

/* Begin a reply of the host's own with this status. Lines end with CR LF. */
void cgi_reply_status_line(struct request *request, int status);

#endif
