/*
 * The rules by which a request is made, for all of its decoders: libfcgi (request.c), its records
 * (request_records.c), or the environment and standard input of a CGI program. A decoder hands
 * over each variable, then the pieces of the body, then its end; what is refused, with which
 * status and in which words, is decided here.
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
 * Take "NAME=value", a string in the block of the request's variables (cgi_variables_take_block);
 * `name` is the size of its name. If a name comes twice, the last value stands at the place of the
 * first. FCGI_ROLE is dropped: libfcgi passes the role of the request under that name. 0 or 500.
 */
int request_add_variable(struct request *r, char *item, size_t name, struct error *e);

/*
 * The body of a request. With a CONTENT_LENGTH it has that many bytes, and is whole once they have
 * come: some clients never end the STDIN stream (HAProxy, behind a length of 0). Without one, or
 * with -1 (Caddy), the web server does not know the length (chunked, HTTP/2): then the whole
 * stream is the body, and CONTENT_LENGTH becomes the number of bytes (RFC 3875, 4.1.2). If none
 * came, CONTENT_LENGTH stays as it was, except that -1 becomes 0.
 */
struct request_body {
	int64_t length; /* CONTENT_LENGTH; -1: the body ends with the stream */
	uint64_t seen;  /* bytes of the stream */
};

/* After the last variable: judge CONTENT_LENGTH. 0, 400, 413 or 500. */
int request_body_begin(
    struct request *r, struct request_body *b, const struct config *config, struct error *e);

/*
 * Add a piece of the stream. Bytes beyond CONTENT_LENGTH are dropped. 0; 413: the body is larger
 * than any extension may get; 503: the disk is full; 500: there is no place for it.
 */
int request_body_add(struct request *r, struct request_body *b, const void *data, size_t size,
    const struct config *config, struct error *e);

/* All bytes that CONTENT_LENGTH announced are there; false if only the stream's end can tell. */
bool request_body_is_whole(const struct request *r, const struct request_body *b);

/* The stream has ended: judge the body, and rewind it. 0, 400 or 500. */
int request_body_end(struct request *r, struct request_body *b, struct error *e);

/* The stream stopped before its end record: 400. */
int request_body_cut(const struct request_body *b, struct error *e);

/*
 * clock_now() until which the rest must be there: body_timeout seconds after the request began, and
 * a second for each KiB that has come (a least rate, as in mod_reqtimeout).
 */
uint64_t request_body_due(
    const struct request *r, const struct request_body *b, const struct config *config);

#endif
