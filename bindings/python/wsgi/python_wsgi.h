/*
 * What the files of WSGI (PEP 3333) share. One request at a time, on the thread that loaded the
 * app; -1 and NULL leave a Python exception pending.
 */
#ifndef EXTHOST_PYTHON_WSGI_H
#define EXTHOST_PYTHON_WSGI_H

#include "interpreter/python_internal.h"

#include <stdint.h>

#include "host/base/buffer.h"

struct binding_call;

/* python_wsgi_environ.c */

/* Make what all requests have in common. 0 or -1. */
int wsgi_environ_start(void);

/*
 * The environ of a request: a new dict, which the app may change as it likes. *head: the method is
 * HEAD.
 */
PyObject *wsgi_environ_make(const struct binding_call *call, PyObject *input, bool *head);

/* python_wsgi_input.c */

/* Ready the type. 0 or -1. */
int wsgi_input_start(void);

/* wsgi.input of a request: a new reference. */
PyObject *wsgi_input_new(const struct binding_call *call);

/* The request is over: whoever still has it cannot read any more. Takes the reference; may be NULL. */
void wsgi_input_end(PyObject *object);

/* python_wsgi_header.c */

/* A header block while it is made. */
struct wsgi_header {
	struct buffer text; /* "Status: 200 OK\r\nName: value\r\n"; empty: there is none yet */
	bool bodyless;      /* the status says that no body follows: 204, 304 */
	bool has_length;    /* it has a Content-Length, */
	uint64_t length;    /* this one */
};

/*
 * Check status and headers, as start_response was given them, and write them down; what was there
 * before is replaced, and is still there after -1 only if nothing was.
 */
int wsgi_header_set(struct wsgi_header *header, PyObject *status, PyObject *headers);

/* Add a Content-Length. 0 or -1. */
int wsgi_header_add_length(struct wsgi_header *header, uint64_t length);

/* python_wsgi_reply.c */

/* The reply to one request; as a Python object it is its start_response. */
struct wsgi_reply {
	PyObject_HEAD vectorcallfunc vectorcall;
	struct binding_call *call; /* NULL: the request is over */
	struct wsgi_header header;
	bool head; /* the method is HEAD */
	bool sent; /* the header is on its way, or was when the client went */
	bool gone; /* the client is */
	unsigned writers,
	    turn; /* how many have come to write, and how many are done: python_wsgi_writing.c */
	uint64_t written; /* bytes of the body */
};

/* Ready the type. 0 or -1. */
int wsgi_reply_start(void);

/* The reply to this request: a new reference. */
struct wsgi_reply *wsgi_reply_new(struct binding_call *call, bool head);

/* The request is over: start_response and write are without effect. Takes the reference. */
void wsgi_reply_end(struct wsgi_reply *reply);

/*
 * What the functions below return besides -1: no more of the body is wanted, since the client is
 * gone, or has all that the Content-Length or the method (HEAD) allows.
 */
enum { WSGI_ENOUGH = 1 };

/*
 * Send a piece of the body, and the header if that is not sent yet; an empty piece sends nothing.
 * only: it is known to be the whole body. 0, WSGI_ENOUGH or -1.
 */
int wsgi_reply_chunk(struct wsgi_reply *reply, PyObject *chunk, bool only);

/* Send a tuple of pieces, the whole rest of the body, at once. As above. */
int wsgi_reply_all(struct wsgi_reply *reply, PyObject *chunks);

/*
 * Send the rest of the body out of a regular file, from its offset to its end. As above; -1 with
 * no exception: it cannot be sent in this way, read it.
 */
int wsgi_reply_file(struct wsgi_reply *reply, int file, uint64_t size);

/* The body is complete. 0; or -1 with an exception, also if it is shorter than was said. */
int wsgi_reply_finish(struct wsgi_reply *reply);

/* python_wsgi_writing.c */

/* Wait until no thread writes to this reply. */
void wsgi_writing_wait(struct wsgi_reply *reply);

/*
 * Write to the reply's call, without Python's lock where there are other threads. false: the request has
 * ended while this thread waited for its turn, and the client counts as gone.
 */
bool wsgi_writing_begin(struct wsgi_reply *reply, PyThreadState **released);

/* The end of that. Keeps errno. */
void wsgi_writing_end(struct wsgi_reply *reply, PyThreadState *released);

/* python_wsgi_file.c */

/* Ready the type. 0 or -1. */
int wsgi_file_start(void);

/* The type itself, wsgi.file_wrapper; borrowed. */
PyObject *wsgi_file_wrapper(void);

/* Whether an app's result is one, and no subclass of it. */
bool wsgi_file_check(PyObject *result);

/* Send it without reading it, if it is a plain file. 0, WSGI_ENOUGH or -1, as wsgi_reply_file. */
int wsgi_file_send(PyObject *self, struct wsgi_reply *reply);

/* python_wsgi.c */

/* Ready all of the above. 0 or -1. */
int python_wsgi_start(void);

/* struct binding: answer, with this application. What is left to do is what every answer needs. */
int python_wsgi_answer(PyObject *application, struct binding_run *run, struct binding_call *call);

#endif
