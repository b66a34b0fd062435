/*
 * One request: what the client asks, decoded and complete, and what is known of its answer. From a
 * FastCGI connection (libfcgi decodes) or from the environment of a CGI program.
 */
#ifndef EXTHOST_REQUEST_H
#define EXTHOST_REQUEST_H

#include "response.h"
#include "variables.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

struct config;
struct error;
struct listener;
struct wire_check;

#define REQUEST_ID_SIZE 17

struct request {
	char id[REQUEST_ID_SIZE];
	struct variables variables;
	int body; /* a file at its beginning, or -1: empty */
	uint64_t body_size;
	bool relay; /* from the relay: it names the script, and SCRIPT_NAME is Fossil's */
	bool hold;  /* the whole reply is held to its end */
	bool trust_fossil;
	struct response response;
	uint64_t began;  /* nanoseconds, CLOCK_MONOTONIC */
	uint64_t queued; /* nanoseconds that it waited for a place to run */
	int language;    /* a request process of this one was taken for it; -1: none yet */
	/* For the log, filled on the way. */
	const char *script; /* name beneath the root; NULL while there is none */
	int status;         /* of the reply; 0 while there is none */
};

/* Once in the process, before the first request_read. 0 or -1 with *e filled. */
int request_start_decoder(struct error *e);

/* Begin a request: an id, a time; everything else empty. */
void request_init(struct request *r);

/* The same, with an id that is this number: for who makes his own, with no system call for each. */
void request_init_numbered(struct request *r, uint64_t number);

#define REQUEST_ABORTED 499 /* the status that the log gets */

/*
 * Decode the request that is complete at the head of a connection (wire_check said so) and read
 * its body to the end. 0; -1 with *e: the client went away or broke the protocol, close without an
 * answer; or the HTTP status of a refusal, with *e: 400 body cut short, 413 over max_body,
 * 503 the disk is full, 500 no place for the body.
 */
int request_read(struct request *r, int connection, const struct config *config, struct error *e);

/*
 * The same without libfcgi, for a request whose head is in `taken` (checked by `check`), its body
 * partly there and partly still to come from the response's descriptor. It is taken out of there; the
 * bytes of a next request stay. REQUEST_ABORTED besides: the client gave it up, and waits for
 * END_REQUEST.
 */
int request_read_taken(struct request *r, struct buffer *taken, const struct wire_check *check,
    const struct config *config, struct error *e);

/*
 * The same from this process's environment and standard input: exactly CONTENT_LENGTH bytes. 0 or a
 * status as above.
 */
int request_read_cgi(struct request *r, const struct config *config, struct error *e);

/*
 * The body in pieces, for those who decode: request_body_begin judges CONTENT_LENGTH (0 or a status,
 * with *length), request_body_add takes what comes of the stream, also what is refused, and
 * request_body_end judges the whole. Each 0 or a status as above.
 */
struct request_body {
	int64_t length; /* CONTENT_LENGTH */
	uint64_t seen;  /* bytes of the stream */
	int refused;    /* a status: the rest is only read */
};

void request_body_begin(
    struct request *r, struct request_body *b, const struct config *config, struct error *e);
int request_body_add(struct request *r, struct request_body *b, const void *data, size_t size,
    const struct config *config, struct error *e);
int request_body_end(struct request *r, struct request_body *b, struct error *e);

#define REQUEST_MORE (-2) /* it is not at its end yet */

/* What is known of a request that comes in pieces. */
struct request_taken {
	uint16_t id;
	struct request_body body;
	unsigned char partial[WIRE_HEADER]; /* the header of the next record, */
	size_t have;                        /* so many bytes of it */
	struct wire_header header;          /* of the present one, */
	size_t content, padding;            /* and how much of it is still to come */
	bool is_body, is_last;
};

/*
 * request_read_taken in pieces, for who must not wait: the head, out of `taken`, then bytes as they
 * come, of which *used belong to the request. REQUEST_MORE, or what request_read_taken returns.
 */
int request_taken_begin(struct request *r, struct request_taken *t, struct buffer *taken,
    const struct wire_check *check, const struct config *config, struct error *e);
int request_taken_feed(struct request *r, struct request_taken *t, const unsigned char *bytes,
    size_t size, size_t *used, const struct config *config, struct error *e);

/* Copy `size` bytes (-1: to the end) from a descriptor into the body. 0 or a status as above. */
int request_read_body(
    struct request *r, int from, int64_t size, const struct config *config, struct error *e);

/*
 * Complete the variables as CGI has them and drop those that must not be believed: HTTP_PROXY,
 * FOSSIL_ from anybody but the relay, and what the host sets itself.
 */
int request_complete_variables(struct request *r, struct error *e);

#define REQUEST_PATH_MAX 8192 /* more than a request line that nginx or Apache lets through */

/*
 * The path that the web server sent (SCRIPT_NAME and PATH_INFO), in one piece in `path`, less the prefix;
 * NULL with the reason in *e.
 */
const char *request_path(
    const struct request *r, const char *prefix, char *path, size_t size, struct error *e);

/* May the client see a traceback? FOSSIL_CAPABILITIES has s, a or D. */
bool request_may_see_traceback(const struct request *r);

void request_release(struct request *r);

/* Nanoseconds, CLOCK_MONOTONIC. */
uint64_t request_clock(void);

/* Milliseconds until that clock says so, for poll(2): 0 if it has, and at most INT_MAX. */
int request_clock_left(uint64_t due);

#endif
