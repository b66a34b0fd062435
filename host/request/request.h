/*
 * One request: what the client asks, decoded and complete, and what is known of its answer. It comes
 * from a FastCGI connection (request_from_connection) or from the environment of a CGI program.
 */
#ifndef EXTHOST_REQUEST_H
#define EXTHOST_REQUEST_H

#include "base/clock.h"
#include "net/response.h"
#include "net/wire.h"
#include "request/cgi_variables.h"
#include "request/request_make.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct config;
struct connection;
struct error;
struct wire_check;

#define REQUEST_ID_SIZE 17

struct request {
	char id[REQUEST_ID_SIZE];
	struct cgi_variables variables;
	int body; /* a file at its beginning, or -1: empty */
	uint64_t body_size;
	bool relay; /* from the relay: it names the script, and SCRIPT_NAME is Fossil's */
	bool hold;  /* the whole reply is held to its end */
	bool trust_fossil;
	bool
	    unended; /* the end of its STDIN stream was not seen: bytes without a meaning may follow */
	bool followed; /* bytes behind it are taken: those still to come may be within a record */
	struct response response;
	uint64_t began;  /* nanoseconds, CLOCK_MONOTONIC */
	uint64_t queued; /* nanoseconds that it waited for a place to run */
	int language;    /* a request process of this one was taken for it; -1: none yet */
	/* For the log, filled on the way. */
	const char *script; /* name beneath the root; NULL while there is none */
	int status;         /* of the reply; 0 while there is none */
	uint64_t cut; /* bytes of the script's body that were not to be sent: cgi_reply_feed */
	const char *dropped; /* a header line that was not: reply_header.h; NULL: none */
};

/* Once in the process, before the first request_read. 0 or -1 with *e filled. */
int request_start_decoder(struct error *e);

/* Begin a request: an id, a time; everything else empty. */
void request_init(struct request *r);

/* As request_init, with an id made by the caller, which saves a getrandom(2) for each request. */
void request_init_numbered(struct request *r, uint64_t number);

#define REQUEST_ABORTED 499 /* the status that the log gets */

#define REQUEST_MORE (-2) /* it is not at its end yet */

/* What is known of a request that comes in pieces. */
struct request_taken {
	const struct config *config; /* which must stay until the request is whole */
	uint16_t id;
	struct request_body body;
	unsigned char partial[WIRE_HEADER]; /* the header of the next record, */
	size_t have;                        /* so many bytes of it */
	struct wire_header header;          /* of the present one, */
	size_t content, padding;            /* and how much of it is still to come */
	bool is_body, is_last;
};

/* The request came on this connection, which is judged: wire_check has its id. */
void request_came_on(struct request *r, const struct connection *c);

/*
 * Make a request of what connection_look found at the head of a connection (LOOK_READY). libfcgi
 * decodes what is whole and still in the socket (request_read); else its records are decoded
 * (request_taken_begin). The rules are the same: request_make.h.
 *
 * 0: it is whole. REQUEST_MORE: go on with request_taken_read. -1 with *e: the client went away or
 * broke the protocol; close without an answer. Else the HTTP status of a refusal, with *e: 400 the
 * body is cut short, or CONTENT_LENGTH is no length; 413 over max_body; 503 the disk is full; 500 no
 * place for the body, or no memory.
 */
int request_from_connection(struct request *r, struct request_taken *t, struct connection *c,
    const struct config *config, struct error *e);

/*
 * Decode with libfcgi a request that is there with its whole body, and nothing behind it, at the head
 * of a connection. As request_from_connection, but never REQUEST_MORE.
 */
int request_read(struct request *r, int connection, const struct config *config, struct error *e);

/*
 * Read a request from this process's environment and standard input: exactly CONTENT_LENGTH bytes, also
 * of a body that is too large. 0 or a status as above. Without CONTENT_LENGTH there is no body (RFC 3875, 4.2).
 */
int request_read_cgi(struct request *r, const struct config *config, struct error *e);

/*
 * Decode a request without libfcgi and without waiting. Its head is in `taken` (checked by `check`) and
 * is taken out of there. As request_from_connection, but never 0.
 */
int request_taken_begin(struct request *r, struct request_taken *t, struct buffer *taken,
    const struct wire_check *check, const struct config *config, struct error *e);

/*
 * Read on, from `taken` and then from the response's descriptor as far as bytes are there, through a
 * buffer of `size` bytes. Bytes behind the request are left, or put, in `taken`. REQUEST_MORE: nothing
 * more is there; call again when there is, or at request_body_due. REQUEST_ABORTED: the client gave it
 * up and waits for END_REQUEST. 408: the body is late. Else as request_from_connection.
 */
int request_taken_read(struct request *r, struct request_taken *t, struct buffer *taken,
    unsigned char *buffer, size_t size, struct error *e);

enum request_heard {
	REQUEST_HEARD_NOTHING,
	REQUEST_HEARD_ABORT, /* ABORT_REQUEST */
	REQUEST_HEARD_OTHER  /* left where it is; what is behind it cannot be heard */
};

/*
 * While a request is answered: what its client has sent behind it. The rest of its STDIN stream is taken
 * off the connection, since it no longer means anything.
 */
enum request_heard request_listen(const struct request *r);

/* Has ABORT_REQUEST come? For a process that does not answer the request: nothing is read away. */
bool request_is_aborted(int connection, uint16_t request_id);

/*
 * Copy `size` bytes (-1: to the end) from a descriptor into the body. 0 or a status as above. With a
 * size, what is refused is read all the same, since Fossil must not find a broken pipe.
 */
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

/* A script, as it is named to itself. */
struct script_place {
	const char *file;   /* absolute */
	const char *root;   /* the extension root */
	const char *prefix; /* of the listener: the URL path of the root */
	const char
	    *name; /* the path from there to the script; "": it answers for all below the prefix */
};

/*
 * What the host has found out stands in place of what was sent: SCRIPT_FILENAME and DOCUMENT_ROOT, and
 * unless the request is the relay's, whose are Fossil's, SCRIPT_NAME and PATH_INFO (RFC 3875, 4.1).
 * 0 or 500.
 */
int request_name_script(
    struct request *r, const struct script_place *place, const char *path_info, struct error *e);

/* May the client see a traceback? FOSSIL_CAPABILITIES has s, a or D. */
bool request_may_see_traceback(const struct request *r);

/* Its client may still send the rest of the stream, and gets the reply only if that is read away. */
bool request_is_unread(const struct request *r);

void request_release(struct request *r);

#endif
