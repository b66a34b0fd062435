/*
 * The response to a WSGI request: start_response, write, and the body on its way to the host.
 *
 * The header leaves with the first byte of the body, or at the end, so that an app which fails
 * earlier gets a clean error page. If a piece is known to be the whole body, it goes with the
 * header in one write, and with a Content-Length if the app gave none. A body never becomes longer
 * than its Content-Length, and a shorter one is an error, since the client could not tell it from a
 * whole one.
 *
 * The response to HEAD has the header that GET would have, and 204 and 304 have no body. There the
 * app's first piece of body shows that the header is final, and the rest is not asked for.
 *
 * The object that the app calls as start_response holds no other Python object, so nothing that the
 * app does with exc_info makes a cycle of references.
 */
#include "wsgi/python_wsgi_reply.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cgi/python_end.h"
#include "host/binding.h"
#include "wsgi/python_wsgi_header.h"

struct wsgi_reply {
	PyObject_HEAD vectorcallfunc vectorcall;
	struct binding_call *call; /* NULL: the request has ended */
	struct wsgi_header header;
	bool head;        /* the method is HEAD */
	bool sent;        /* the header was given to the host, or the client left first */
	bool gone;        /* the client has gone */
	unsigned writers; /* threads that have come to write */
	unsigned turn;    /* threads that have written: the number of the thread whose turn it is */
	uint64_t written; /* bytes of the body */
};

static PyObject *start_response(
    PyObject *self, PyObject *const *arguments, size_t flags, PyObject *keywords);
static int raise_again(PyObject *exc_info);
static PyObject *write_piece(PyObject *self, PyObject *chunk);
static int check_started(const struct wsgi_reply *reply);
static int check_piece(PyObject *chunk);
static bool is_bodyless(const struct wsgi_reply *reply);
static int add_known_length(struct wsgi_reply *reply, uint64_t size);
static int put_header(struct wsgi_reply *reply, struct iovec *piece);
static int send_pieces(struct wsgi_reply *reply, struct iovec *pieces, int count, bool ended);
static int send_batches(struct wsgi_reply *reply, PyObject *chunks);
static int after(const struct wsgi_reply *reply, bool cut);
static int fail(struct wsgi_reply *reply);

enum { PIECES = 64 };

static PyTypeObject type;
static struct wsgi_reply *spare;

/*
 * An app's threads. A thread that writes to the host does so without Python's lock, and may still
 * be writing when the request ends, since a client takes its time. The call that it writes to, and
 * the descriptor behind the call, belong to another request a moment later. So one thread writes at
 * a time, in the order in which they came (otherwise a thread that writes again and again would
 * keep the others out), and a request does not end before the last of them has returned.
 */
static void begin_turn(struct wsgi_reply *reply)
{
	unsigned mine = reply->writers++;

	while (reply->turn != mine) {
		PyThreadState *released = PyEval_SaveThread();

		usleep(100);
		PyEval_RestoreThread(released);
	}
}

/* Wait until no thread writes. */
static void wait_for_writers(struct wsgi_reply *reply)
{
	begin_turn(reply);
	reply->turn++;
}

/*
 * Begin to write to the reply's call: without Python's lock where there are other threads. Returns
 * false if the request ended while this thread waited for its turn; the client counts as gone then.
 */
static bool begin_writing(struct wsgi_reply *reply, PyThreadState **released)
{
	begin_turn(reply);
	reply->gone = reply->gone || reply->call == NULL;
	if (reply->gone) {
		reply->turn++;
		return false;
	}
	*released = python_end_has_threads() ? PyEval_SaveThread() : NULL;
	return true;
}

/* Keeps errno. */
static void end_writing(struct wsgi_reply *reply, PyThreadState *released)
{
	int reason = errno;

	if (released != NULL)
		PyEval_RestoreThread(released);
	reply->turn++;
	errno = reason;
}

struct wsgi_reply *wsgi_reply_new(struct binding_call *call, bool head)
{
	struct wsgi_reply *reply = spare;

	spare = NULL;
	if (reply == NULL) {
		reply = PyObject_New(struct wsgi_reply, &type);
		if (reply == NULL)
			return NULL;
		reply->vectorcall = start_response;
		reply->header = (struct wsgi_header){0};
	}
	reply->call = call;
	reply->header.text.size = 0;
	reply->header.bodyless = reply->header.has_length = false;
	reply->head = head;
	reply->sent = reply->gone = false;
	reply->writers = reply->turn = 0;
	reply->written = 0;
	return reply;
}

void wsgi_reply_end(struct wsgi_reply *reply)
{
	reply->call = NULL;
	wait_for_writers(reply);
	if (Py_REFCNT((PyObject *)reply) == 1 && spare == NULL)
		spare = reply;
	else
		Py_DECREF((PyObject *)reply);
}

bool wsgi_reply_is_gone(const struct wsgi_reply *reply)
{
	return reply->gone;
}

static void reply_free(PyObject *self)
{
	buffer_release(&((struct wsgi_reply *)self)->header.text);
	PyObject_Free(self);
}

static PyMethodDef write_method = {
    "write", write_piece, METH_O, "write(bytes): send a piece of the body (PEP 3333)"};

/* start_response(status, headers, exc_info=None) -> write */
static PyObject *start_response(
    PyObject *self, PyObject *const *arguments, size_t flags, PyObject *keywords)
{
	struct wsgi_reply *reply = (struct wsgi_reply *)self;
	Py_ssize_t count = PyVectorcall_NARGS(flags);
	Py_ssize_t named = keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0;
	PyObject *exc_info = count + named == 3 ? arguments[2] : Py_None;

	if (count < 2 || count + named > 3 ||
	    (named == 1 &&
		PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, 0), "exc_info") != 0)) {
		PyErr_SetString(PyExc_TypeError,
		    "start_response takes a status, a list of headers and optionally exc_info");
		return NULL;
	}
	if (reply->call == NULL) {
		PyErr_SetString(PyExc_ValueError, "start_response: the request is over");
		return NULL;
	}
	if (exc_info != Py_None) {
		if (!PyTuple_Check(exc_info) || PyTuple_GET_SIZE(exc_info) != 3) {
			PyErr_SetString(PyExc_TypeError,
			    "start_response: exc_info must be what sys.exc_info() returns");
			return NULL;
		}
		if (reply->sent && raise_again(exc_info) == -1)
			return NULL;
	} else if (reply->header.text.size != 0) {
		PyErr_SetString(PyExc_AssertionError,
		    "start_response was called before; a second time it needs exc_info");
		return NULL;
	}
	if (wsgi_header_set(&reply->header, arguments[0], arguments[1]) == -1)
		return NULL;
	return PyCFunction_New(&write_method, self);
}

/* The header was sent, so the app's exception must end the response. Returns -1. */
static int raise_again(PyObject *exc_info)
{
	PyObject *kind = PyTuple_GET_ITEM(exc_info, 0);
	PyObject *value = PyTuple_GET_ITEM(exc_info, 1);
	PyObject *traceback = PyTuple_GET_ITEM(exc_info, 2);

	if (PyExceptionInstance_Check(value))
		PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(value)), Py_NewRef(value),
		    PyTraceBack_Check(traceback) ? Py_NewRef(traceback) : NULL);
	else if (PyExceptionClass_Check(kind))
		PyErr_SetObject(kind, value);
	else
		PyErr_SetString(PyExc_TypeError, "start_response: exc_info holds no exception");
	return -1;
}

/*
 * Raises BrokenPipeError if the client has gone, to stop the app; the exception is never printed.
 */
static PyObject *write_piece(PyObject *self, PyObject *chunk)
{
	struct wsgi_reply *reply = (struct wsgi_reply *)self;
	int result;

	if (reply->call == NULL) {
		PyErr_SetString(PyExc_ValueError, "write: the request is over");
		return NULL;
	}
	if (check_piece(chunk) == 0 && !is_bodyless(reply) && reply->header.has_length &&
	    (uint64_t)PyBytes_GET_SIZE(chunk) > reply->header.length - reply->written)
		PyErr_SetString(
		    PyExc_ValueError, "write: the body is longer than its Content-Length");
	if (PyErr_Occurred())
		return NULL;
	result = wsgi_reply_chunk(reply, chunk, false);
	if (result == -1)
		return NULL;
	if (reply->gone) {
		PyErr_SetString(PyExc_BrokenPipeError, "write: the client is gone");
		return NULL;
	}
	Py_RETURN_NONE;
}

int wsgi_reply_chunk(struct wsgi_reply *reply, PyObject *chunk, bool only)
{
	struct iovec pieces[2];
	uint64_t size;
	int count = 0;
	bool cut;

	if (reply->gone)
		return WSGI_ENOUGH;
	if (check_piece(chunk) == -1 || check_started(reply) == -1)
		return -1;
	size = (uint64_t)PyBytes_GET_SIZE(chunk);
	if (only && add_known_length(reply, size) == -1)
		return -1;
	if (size == 0 && !only)
		return 0;
	cut = reply->header.has_length && size > reply->header.length - reply->written;
	if (cut)
		size = reply->header.length - reply->written;
	if (!reply->sent && put_header(reply, &pieces[count++]) == -1)
		return -1;
	if (size > 0 && !is_bodyless(reply)) {
		pieces[count++] = (struct iovec){PyBytes_AS_STRING(chunk), (size_t)size};
		reply->written += size;
	}
	if (count > 0 && send_pieces(reply, pieces, count, false) == -1)
		return -1;
	return after(reply, cut);
}

int wsgi_reply_all(struct wsgi_reply *reply, PyObject *chunks)
{
	Py_ssize_t count = PyTuple_GET_SIZE(chunks);
	uint64_t size = 0;

	if (reply->gone)
		return WSGI_ENOUGH;
	if (check_started(reply) == -1)
		return -1;
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *chunk = PyTuple_GET_ITEM(chunks, i);

		if (check_piece(chunk) == -1)
			return -1;
		size += (uint64_t)PyBytes_GET_SIZE(chunk);
	}
	if (add_known_length(reply, size) == -1)
		return -1;
	return send_batches(reply, chunks);
}

/* Every piece is bytes. */
static int send_batches(struct wsgi_reply *reply, PyObject *chunks)
{
	Py_ssize_t i = 0, total = PyTuple_GET_SIZE(chunks);
	bool cut = false;

	while (!reply->gone && !cut && (i < total || !reply->sent)) {
		struct iovec pieces[PIECES];
		int count = 0;

		if (!reply->sent && put_header(reply, &pieces[count++]) == -1)
			return -1;
		for (; i < total && count < PIECES && !is_bodyless(reply) && !cut; i++) {
			PyObject *chunk = PyTuple_GET_ITEM(chunks, i);
			uint64_t size = (uint64_t)PyBytes_GET_SIZE(chunk);

			cut = reply->header.has_length &&
			      size > reply->header.length - reply->written;
			if (cut)
				size = reply->header.length - reply->written;
			if (size == 0)
				continue;
			pieces[count++] = (struct iovec){PyBytes_AS_STRING(chunk), (size_t)size};
			reply->written += size;
		}
		if (count > 0 && send_pieces(reply, pieces, count, false) == -1)
			return -1;
		if (is_bodyless(reply))
			break;
	}
	return after(reply, cut);
}

int wsgi_reply_file(struct wsgi_reply *reply, int file, uint64_t size)
{
	struct binding_call *call = reply->call;
	struct iovec header;
	PyThreadState *released;
	int result, reason;
	bool cut;

	if (reply->gone)
		return WSGI_ENOUGH;
	if (check_started(reply) == -1 || add_known_length(reply, size) == -1)
		return -1;
	if (!reply->sent &&
	    (put_header(reply, &header) == -1 || send_pieces(reply, &header, 1, false) == -1))
		return -1;
	if (reply->gone || is_bodyless(reply))
		return after(reply, false);
	cut = reply->header.has_length && size > reply->header.length - reply->written;
	if (cut)
		size = reply->header.length - reply->written;
	if (size == 0)
		return after(reply, cut);
	if (!begin_writing(reply, &released))
		return WSGI_ENOUGH;
	result = binding_reply_file(call, file, size);
	reason = errno;
	end_writing(reply, released);
	if (result == 0) {
		reply->written += size;
		return after(reply, cut);
	}
	return reason == EINVAL ? -1 : fail(reply) == -1 ? -1 : WSGI_ENOUGH;
}

int wsgi_reply_finish(struct wsgi_reply *reply)
{
	struct iovec header;

	if (reply->gone)
		return 0;
	if (check_started(reply) == -1)
		return -1;
	if (!reply->sent &&
	    (put_header(reply, &header) == -1 || send_pieces(reply, &header, 1, true) == -1))
		return -1;
	if (reply->gone || is_bodyless(reply) || !reply->header.has_length ||
	    reply->written == reply->header.length)
		return 0;
	PyErr_Format(PyExc_ValueError, "the body ended after %llu bytes; Content-Length is %llu",
	    (unsigned long long)reply->written, (unsigned long long)reply->header.length);
	return -1;
}

static int check_started(const struct wsgi_reply *reply)
{
	if (reply->header.text.size != 0)
		return 0;
	PyErr_SetString(PyExc_AssertionError, "start_response was not called before the body");
	return -1;
}

static int check_piece(PyObject *chunk)
{
	if (PyBytes_Check(chunk))
		return 0;
	PyErr_Format(
	    PyExc_TypeError, "a piece of the body must be bytes, not %s", Py_TYPE(chunk)->tp_name);
	return -1;
}

static bool is_bodyless(const struct wsgi_reply *reply)
{
	return reply->head || reply->header.bodyless;
}

/* None for an empty body to HEAD: the app may have left the body out, so its length is unknown. */
static int add_known_length(struct wsgi_reply *reply, uint64_t size)
{
	if (reply->sent || reply->header.has_length || reply->header.bodyless ||
	    (reply->head && size == 0))
		return 0;
	return wsgi_header_add_length(&reply->header, size);
}

static int put_header(struct wsgi_reply *reply, struct iovec *piece)
{
	if (buffer_append(&reply->header.text, "\r\n", 2) == -1) {
		PyErr_NoMemory();
		return -1;
	}
	*piece = (struct iovec){reply->header.text.data, reply->header.text.size};
	reply->sent = true;
	return 0;
}

/*
 * Send these pieces. ended: the app has said that no more follow. Otherwise the host learns that
 * they are the last once the response has all that its header allows, as the app can then neither
 * extend nor spoil it. Returns 0, also if the client has gone; -1 with an exception.
 */
static int send_pieces(struct wsgi_reply *reply, struct iovec *pieces, int count, bool ended)
{
	bool last = is_bodyless(reply) ||
		    (reply->header.has_length ? reply->written == reply->header.length : ended);
	struct binding_call *call = reply->call;
	PyThreadState *released;
	int result;

	if (!begin_writing(reply, &released))
		return 0;
	result = last ? binding_reply_finish(call, pieces, count)
		      : binding_reply_write(call, pieces, count);
	end_writing(reply, released);
	return result == 0 ? 0 : fail(reply);
}

/* Sending failed, with errno. Returns 0 if the client has gone, or else -1 with an exception. */
static int fail(struct wsgi_reply *reply)
{
	reply->gone = errno == EPIPE || errno == ECONNRESET;
	if (reply->gone)
		return 0;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

/* What sending returns. cut: the body was longer than its Content-Length. */
static int after(const struct wsgi_reply *reply, bool cut)
{
	if (cut && !is_bodyless(reply) && !reply->gone)
		PySys_WriteStderr(
		    "the body is longer than its Content-Length, so it is cut after %llu bytes\n",
		    (unsigned long long)reply->header.length);
	return cut || reply->gone || (reply->sent && is_bodyless(reply)) ? WSGI_ENOUGH : 0;
}

static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0) /**/
	.tp_name = "exthost.StartResponse",
    .tp_basicsize = sizeof(struct wsgi_reply),
    .tp_dealloc = reply_free,
    .tp_vectorcall_offset = offsetof(struct wsgi_reply, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "start_response(status, headers, exc_info=None) -> write (PEP 3333)",
};

int wsgi_reply_start(void)
{
	return PyType_Ready(&type);
}
