/*
 * A request to a WSGI app (PEP 3333), from the call of the application to the close of its result.
 *
 * The common results take a short way. A list or tuple is known as a whole, so it is sent with the
 * header in one write. A file in a wsgi.file_wrapper is sent by the host. Any other result is
 * iterated, and each piece is sent before the next one is asked for.
 *
 * Whatever happens, close is called, once. An exception goes to the log with its traceback, and the
 * request has failed, unless the whole response was sent before. An app that asks for the end of
 * its process (SystemExit) or is interrupted gets that after the request. A client that has gone is
 * no error of the app: the app is stopped, and nothing is printed.
 *
 * If an app forks, its call returns twice. The response is the parent's; a child that returns from
 * the app ends like a child forked by a script.
 */
#include "wsgi/python_wsgi.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "cgi/python_end.h"
#include "host/binding.h"
#include "interpreter/python_error.h"
#include "wsgi/python_wsgi_environ.h"
#include "wsgi/python_wsgi_file.h"
#include "wsgi/python_wsgi_input.h"
#include "wsgi/python_wsgi_reply.h"

static int call_app(
    PyObject *application, struct binding_run *run, PyObject *environ, struct wsgi_reply *reply);
static int send_result(struct binding_run *run, struct wsgi_reply *reply, PyObject *result);
static int send_sequence(struct wsgi_reply *reply, PyObject *result);
static int iterate(struct binding_run *run, struct wsgi_reply *reply, PyObject *result);
static bool has_one(PyObject *result);
static int close_result(PyObject *result);
static int report(struct binding_run *run, const struct wsgi_reply *reply);
static void end_forked(struct binding_run *run);

static bool forked; /* the app has forked this process */
static pid_t worker;
static PyObject *close_name;

static void note_fork(void)
{
	forked = true;
}

int python_wsgi_start(void)
{
	worker = getpid();
	close_name = PyUnicode_InternFromString("close");
	if (close_name == NULL || wsgi_input_start() == -1 || wsgi_reply_start() == -1 ||
	    wsgi_file_start() == -1 || wsgi_environ_start() == -1)
		return -1;
	if (pthread_atfork(NULL, NULL, note_fork) != 0) {
		PyErr_NoMemory();
		return -1;
	}
	return 0;
}

int python_wsgi_answer(PyObject *application, struct binding_run *run, struct binding_call *call)
{
	bool head = false;
	PyObject *input = wsgi_input_new(call);
	PyObject *environ = input != NULL ? wsgi_environ_make(call, input, &head) : NULL;
	struct wsgi_reply *reply = environ != NULL ? wsgi_reply_new(call, head) : NULL;
	int result;

	if (reply != NULL) {
		result = call_app(application, run, environ, reply);
		/*
		 * First, since in most requests it holds the last references to the reply and the
		 * input.
		 */
		Py_DECREF(environ);
		wsgi_reply_end(reply);
	} else {
		result = report(run, NULL);
		Py_XDECREF(environ);
	}
	wsgi_input_end(input);
	return result;
}

static int call_app(
    PyObject *application, struct binding_run *run, PyObject *environ, struct wsgi_reply *reply)
{
	PyObject *arguments[] = {NULL, environ, (PyObject *)reply};
	PyObject *result = PyObject_Vectorcall(
	    application, arguments + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
	int flags = 0;

	end_forked(run);
	if (result == NULL)
		return report(run, reply);
	if (send_result(run, reply, result) == -1)
		flags = report(run, reply);
	else if (wsgi_reply_is_gone(reply))
		flags = BINDING_FAILED;
	/* The response is complete, so a failing close does not spoil it. */
	if (close_result(result) == -1)
		flags |= report(run, reply) & BINDING_RETIRE;
	end_forked(run);
	Py_DECREF(result);
	return flags;
}

/* Returns 0, also if the client has gone; or -1 with an exception. */
static int send_result(struct binding_run *run, struct wsgi_reply *reply, PyObject *result)
{
	int sent = -1;

	if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) {
		sent = send_sequence(reply, result);
	} else if (PyBytes_Check(result)) {
		PyErr_SetString(PyExc_TypeError,
		    "the application returned bytes; it must return an iterable of bytes: [body]");
	} else {
		if (wsgi_file_check(result))
			sent = wsgi_file_send(result, reply);
		if (sent == -1 && !PyErr_Occurred())
			sent = iterate(run, reply, result);
	}
	if (sent == 0)
		return wsgi_reply_finish(reply);
	return sent == WSGI_ENOUGH ? 0 : -1;
}

/* As a tuple: a list can change while it is sent, if the app has threads. */
static int send_sequence(struct wsgi_reply *reply, PyObject *result)
{
	PyObject *chunks;
	int sent;

	if (PySequence_Fast_GET_SIZE(result) == 1) {
		chunks = Py_NewRef(PySequence_Fast_GET_ITEM(result, 0));
		sent = wsgi_reply_chunk(reply, chunks, true);
	} else {
		chunks = PySequence_Tuple(result);
		sent = chunks != NULL ? wsgi_reply_all(reply, chunks) : -1;
	}
	Py_XDECREF(chunks);
	return sent;
}

static int iterate(struct binding_run *run, struct wsgi_reply *reply, PyObject *result)
{
	bool only = has_one(result);
	PyObject *iterator = PyObject_GetIter(result);
	int sent = 0;

	if (iterator == NULL) {
		if (PyErr_ExceptionMatches(PyExc_TypeError) && Py_TYPE(result)->tp_iter == NULL)
			PyErr_Format(PyExc_TypeError,
			    "the application returned %s; it must return an iterable of bytes",
			    Py_TYPE(result)->tp_name);
		return -1;
	}
	while (sent == 0) {
		PyObject *chunk = PyIter_Next(iterator);

		end_forked(run);
		if (chunk == NULL) {
			sent = PyErr_Occurred() ? -1 : 0;
			break;
		}
		sent = wsgi_reply_chunk(reply, chunk, only);
		only = false;
		Py_DECREF(chunk);
	}
	Py_DECREF(iterator);
	return sent;
}

/* PEP 3333: a length, if the result has one, can be relied upon. */
static bool has_one(PyObject *result)
{
	const PyTypeObject *type = Py_TYPE(result);
	Py_ssize_t size;

	if ((type->tp_as_sequence == NULL || type->tp_as_sequence->sq_length == NULL) &&
	    (type->tp_as_mapping == NULL || type->tp_as_mapping->mp_length == NULL))
		return false;
	size = PyObject_Size(result);
	if (size == -1)
		PyErr_Clear();
	return size == 1;
}

static int close_result(PyObject *result)
{
	PyObject *close, *closed;

	if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
		return 0;
	close = PyObject_GetAttr(result, close_name);
	if (close == NULL) {
		if (!PyErr_ExceptionMatches(PyExc_AttributeError))
			return -1;
		PyErr_Clear();
		return 0;
	}
	closed = PyObject_CallNoArgs(close);
	Py_DECREF(close);
	Py_XDECREF(closed);
	return closed != NULL ? 0 : -1;
}

/* Print the pending exception on standard error, and return what it means for the request. */
static int report(struct binding_run *run, const struct wsgi_reply *reply)
{
	if (reply != NULL && wsgi_reply_is_gone(reply) &&
	    PyErr_ExceptionMatches(PyExc_BrokenPipeError)) {
		PyErr_Clear();
		return BINDING_FAILED;
	}
	if (PyErr_ExceptionMatches(PyExc_SystemExit) ||
	    PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
		python_error_print();
		PySys_WriteStderr("the app ended itself; exthost starts it again\n");
		return BINDING_FAILED | BINDING_RETIRE;
	}
	if (PyErr_ExceptionMatches(PyExc_MemoryError))
		binding_no_memory(run);
	python_error_print();
	return BINDING_FAILED;
}

static void end_forked(struct binding_run *run)
{
	if (!forked)
		return;
	if (PyErr_Occurred())
		python_end(run, worker, python_error_exit());
	python_end(run, worker, 0);
}
