/*
 * One request: what the client asks, decoded and complete, and what is known of its answer. It
 * comes from a FastCGI connection (request_from_connection) or from the environment of a CGI
 * program.
 */
#ifndef EXTHOST_REQUEST_H
#define EXTHOST_REQUEST_H

#include "base/buffer.h"
#include "base/clock.h"
#include "net/response.h"
#include "net/wire.h"
#include "request/cgi_variables.h"
#include "request/request_make.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct config;
struct config_list;
struct connection;
struct error;
struct wire_check;

#define REQUEST_ID_SIZE 17

struct request {
	char id[REQUEST_ID_SIZE];
	struct cgi_variables variables;
	int body; /* a file at its beginning, or -1: empty */
	uint64_t body_size;
	bool relay; /* from the relay, which names the script; SCRIPT_NAME is Fossil's */
	bool hold;  /* hold the whole reply until its end */
	bool trust_fossil;
	bool unended; /* the end of its STDIN stream was not seen: the rest may still come */
	struct buffer behind; /* bytes behind it that are taken off the connection */
	struct response response;
	uint64_t began;  /* nanoseconds, CLOCK_MONOTONIC */
	uint64_t queued; /* nanoseconds spent waiting for a place to run */
	int language;    /* language of the request process that was taken for it; -1: none yet */
	/* For the log, filled by the stages. */
	const char *script;  /* name beneath the root; NULL until it is found */
	int status;          /* of the reply; 0 until it begins */
	uint64_t cut;        /* bytes of the script's body that were not sent: cgi_reply_feed */
	const char *dropped; /* a header line that was not sent: cgi_header.h; NULL: none */
};

/* Once in the process, before the first request_read. 0 or -1 with *e filled. */
int request_start_decoder(struct error *e);

/* Begin a request: an id, a time; everything else empty. */
void request_init(struct request *r);

/* As request_init, with an id made by the caller, which saves a getrandom(2) for each request. */
void request_init_numbered(struct request *r, uint64_t number);

#define REQUEST_ABORTED 499 /* the status that the log gets */

#define REQUEST_MORE (-2) /* the request is not whole yet */

/* A request that comes in pieces. */
struct request_taken {
	const struct config *config; /* must stay until the request is whole */
	uint16_t id;
	struct request_body body;
	unsigned char partial[WIRE_HEADER]; /* header of the next record */
	size_t have;                        /* bytes of that header that have come */
	struct wire_header header;          /* of the present record */
	size_t content, padding;            /* bytes of the present record that still come */
	bool is_body, is_last;
};

/*
 * Fill in what the connection tells: its client, the way back, and the id that wire_check has
 * read.
 */
void request_came_on(struct request *r, const struct connection *c);

/*
 * Make a request of the head that connection_look has found (LOOK_READY). libfcgi decodes a
 * request that was left in the socket (request_read); the records of any other are decoded here
 * (request_taken_begin). Both follow the rules of request_make.h.
 *
 * 0: it is whole. REQUEST_MORE: go on with request_taken_read. -1 with *e: the client went away or
 * broke the protocol; close without an answer. Else the HTTP status of a refusal, with *e: 400 the
 * body is cut short, or CONTENT_LENGTH is no length; 413 over max_body; 503 the disk is full; 500
 * no place for the body, or no memory.
 */
int request_from_connection(struct request *r, struct request_taken *t, struct connection *c,
    const struct config *config, struct error *e);

/*
 * Decode with libfcgi a request that is in the socket with its whole body and no byte behind it.
 * Returns as request_from_connection, but never REQUEST_MORE.
 */
int request_read(struct request *r, int connection, const struct config *config, struct error *e);

/*
 * Read a request from this process's environment and standard input: exactly CONTENT_LENGTH bytes,
 * even if the body is too large. 0 or a status as above. Without CONTENT_LENGTH there is no body
 * (RFC 3875, 4.2).
 */
int request_read_cgi(struct request *r, const struct config *config, struct error *e);

/*
 * Begin to decode a request without libfcgi and without waiting. Its head, checked by `check`, is
 * taken out of `taken`. Returns as request_from_connection, but never 0.
 */
int request_taken_begin(struct request *r, struct request_taken *t, struct buffer *taken,
    const struct wire_check *check, const struct config *config, struct error *e);

/*
 * Go on decoding, first from `taken` and then from the response's descriptor as far as bytes are
 * there, through a buffer of `size` bytes. Bytes behind the request stay in `taken`, or are put
 * there. REQUEST_MORE: call again when more bytes are there, or at request_body_due.
 * REQUEST_ABORTED: the client has aborted the request and waits for END_REQUEST. 408: the body is
 * late. Else as request_from_connection.
 */
int request_taken_read(struct request *r, struct request_taken *t, struct buffer *taken,
    unsigned char *buffer, size_t size, struct error *e);

enum request_heard {
	REQUEST_HEARD_NOTHING,
	REQUEST_HEARD_ABORT, /* ABORT_REQUEST */
	REQUEST_HEARD_OTHER  /* another record: an abort behind it is not seen */
};

/*
 * Take what the client has sent behind a request that is being answered. The rest of the request's
 * STDIN stream is dropped, since it no longer has a meaning; other bytes are kept in r->behind.
 */
enum request_heard request_listen(struct request *r);

/*
 * Has ABORT_REQUEST come? For a process that does not answer the request: no byte is taken.
 * `behind`: up to WIRE_HEADER bytes that the other process has taken.
 */
bool request_is_aborted(
    int connection, uint16_t request_id, const unsigned char *behind, size_t taken);

/*
 * Copy `size` bytes (-1: to the end) from a descriptor into the body. 0 or a status as above.
 * Given a size, even a refused body is read, so that Fossil meets no broken pipe.
 */
int request_read_body(
    struct request *r, int from, int64_t size, const struct config *config, struct error *e);

/*
 * Add the variables that CGI requires and the request lacks, and remove those that must not be
 * trusted: HTTP_PROXY, and FOSSIL_ of any client but the relay.
 */
int request_complete_variables(struct request *r, struct error *e);

/*
 * Add the configured variables (environment.h) that the request does not have itself, and then
 * PATH, HOME and LANG, which no script has to do without. whole: false adds of the configured ones
 * no others than those three (struct binding, apart). 0, or -1 with *e.
 */
int request_add_environment(
    struct request *r, const struct config_list *environment, bool whole, struct error *e);

#define REQUEST_PATH_MAX 8192 /* more than a request line that nginx or Apache lets through */

/*
 * The path that the web server sent, SCRIPT_NAME and PATH_INFO, joined in `path`, without the
 * prefix. NULL with the reason in *e.
 */
const char *request_path(
    const struct request *r, const char *prefix, char *path, size_t size, struct error *e);

/* The names of a script, as its variables tell them. */
struct script_place {
	const char *file;   /* absolute */
	const char *root;   /* the extension root */
	const char *prefix; /* of the listener: the URL path of the root */
	const char *name;   /* path from the prefix to the script; "": it answers all below */
};

/*
 * Set SCRIPT_FILENAME and DOCUMENT_ROOT, whatever the client has sent, and SCRIPT_NAME and
 * PATH_INFO (RFC 3875, 4.1), which in a request from the relay are Fossil's and stay. 0 or 500.
 */
int request_name_script(
    struct request *r, const struct script_place *place, const char *path_info, struct error *e);

/* May the client see a traceback? FOSSIL_CAPABILITIES has s, a or D. */
bool request_may_see_traceback(const struct request *r);

/* The client may still send the rest of the stream, and gets the reply only if that is drained. */
bool request_is_unread(const struct request *r);

void request_release(struct request *r);

#endif
