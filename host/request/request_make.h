/*
 * The rules by which a request is made, whatever decodes it: libfcgi (request.c), its records
 * (request_records.c), or the environment and standard input of a CGI program. A decoder hands over
 * each variable, then the pieces of the body, then its end; what is refused, with which status and in
 * which words, is decided here.
 */
#ifndef EXTHOST_REQUEST_MAKE_H
#define EXTHOST_REQUEST_MAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct error;
struct request;

/*
 * Take "NAME=value", a string in the block that belongs to the request's variables
 * (cgi_variables_take_block); `name` is the size of its name. Of a name that comes twice the last value
 * counts, at the place of the first. FCGI_ROLE is no variable: libfcgi tells the role of the request
 * under that name. 0 or 500.
 */
int request_add_variable(struct request *r, char *item, size_t name, struct error *e);

/*
 * The body of a request. With a CONTENT_LENGTH it is that many bytes, and whole when they are
 * there: some clients never end the STDIN stream (HAProxy, behind a length of 0). Without one, or with
 * -1 (Caddy), the web server does not know the length (chunked, HTTP/2): then the whole stream is the
 * body, and CONTENT_LENGTH becomes the number of bytes that came (RFC 3875, 4.1.2). If none came,
 * CONTENT_LENGTH stays as it was, but for -1, which becomes 0.
 */
struct request_body {
	int64_t length; /* CONTENT_LENGTH; -1: the end of the stream tells it */
	uint64_t seen;  /* bytes of the stream */
};

/* All variables are taken: judge CONTENT_LENGTH. 0; 400, 413 or 500. */
int request_body_begin(
    struct request *r, struct request_body *b, const struct config *config, struct error *e);

/*
 * Take a piece of the stream. Bytes beyond CONTENT_LENGTH are forgotten. 0; 413 over the largest body
 * that any extension may get, 503 the disk is full, 500 no place.
 */
int request_body_add(struct request *r, struct request_body *b, const void *data, size_t size,
    const struct config *config, struct error *e);

/* All bytes that CONTENT_LENGTH announced are there; false while only the stream's end can tell. */
bool request_body_is_whole(const struct request *r, const struct request_body *b);

/* The body has ended: judge it, and make it ready to be read. 0, 400 or 500. */
int request_body_end(struct request *r, struct request_body *b, struct error *e);

/* The stream stopped before its end record: 400. */
int request_body_cut(const struct request_body *b, struct error *e);

/*
 * clock_now() until which the rest must be there: body_timeout seconds after the request began, and
 * a second for each KiB that has come (a least rate, as mod_reqtimeout has one).
 */
uint64_t request_body_due(
    const struct request *r, const struct request_body *b, const struct config *config);

#endif
