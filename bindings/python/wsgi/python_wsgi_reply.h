/* The response to a WSGI request: start_response, write, and the body on its way to the host. */
#ifndef EXTHOST_PYTHON_WSGI_REPLY_H
#define EXTHOST_PYTHON_WSGI_REPLY_H

#include "interpreter/python_include.h"

#include <stdbool.h>
#include <stdint.h>

struct binding_call;

/* The response to one request. As a Python object it is start_response. */
struct wsgi_reply;

/* Ready the type. Returns 0 or -1. */
int wsgi_reply_start(void);

/* The response to this request: a new reference, or NULL. head: the method is HEAD. */
struct wsgi_reply *wsgi_reply_new(struct binding_call *call, bool head);

/*
 * The request has ended: wait until no thread writes, and make start_response and write fail. Takes
 * the reference.
 */
void wsgi_reply_end(struct wsgi_reply *reply);

/* True if the client has gone. */
bool wsgi_reply_is_gone(const struct wsgi_reply *reply);

/*
 * Returned by the functions below, besides 0 and -1: send no more of the body. The client has gone,
 * or has all that Content-Length or the method (HEAD) allows.
 */
enum { WSGI_ENOUGH = 1 };

/*
 * Send a piece of the body, after the header if that was not sent yet. An empty piece sends
 * nothing. only: it is the whole body. Returns 0, WSGI_ENOUGH or -1.
 */
int wsgi_reply_chunk(struct wsgi_reply *reply, PyObject *chunk, bool only);

/* Send a tuple of pieces, all that is left of the body, at once. Returns as above. */
int wsgi_reply_all(struct wsgi_reply *reply, PyObject *chunks);

/*
 * Send the rest of the body out of a regular file, from its offset to its end. Returns as above; -1
 * without an exception: it cannot be sent this way, so read it.
 */
int wsgi_reply_file(struct wsgi_reply *reply, int file, uint64_t size);

/*
 * The body is complete. Returns 0, or -1; also -1 if the body is shorter than its Content-Length.
 */
int wsgi_reply_finish(struct wsgi_reply *reply);

#endif
