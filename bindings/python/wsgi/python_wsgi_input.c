/*
 * wsgi.input: the request body, with the methods of PEP 3333 (read, readline, readlines,
 * iteration), and readinto, so that Python's own buffered readers can wrap it.
 *
 * The body is complete, in a file, when the app is called. It is read by pread(2), so that other
 * uses of the descriptor do no harm. Small pieces and lines come out of a window that moves over
 * the file; large pieces are read straight into the memory that the app gets. There is no seek: an
 * app that relied on one would not run under other servers.
 *
 * An app can keep the object. When its request has ended, it is closed for good and raises an
 * error. An object that no app kept is used again for the next request.
 */
#include "wsgi/python_wsgi_input.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "host/binding.h"

enum { WINDOW = 1 << 16 };

struct input {
	PyObject_HEAD int file; /* the host's descriptor of the body; -1: empty */
	bool closed;
	uint64_t size;  /* bytes of the body; fewer if the file turns out to be shorter */
	uint64_t at;    /* offset of the next read */
	uint64_t start; /* offset of the window */
	size_t filled;  /* bytes in the window */
	char *window;   /* WINDOW bytes; NULL until it is needed */
};

static int check_open(const struct input *input);
static int get_size(PyObject *const *arguments, Py_ssize_t count, const char *name, uint64_t *size);
static PyObject *take(struct input *input, uint64_t size);
static int take_into(struct input *input, char *to, size_t size);
static int fill(struct input *input);
static PyObject *take_line(struct input *input, uint64_t limit);
static int find_line_end(struct input *input, uint64_t limit, uint64_t *size);

static PyTypeObject type;
static struct input *spare;

PyObject *wsgi_input_new(const struct binding_call *call)
{
	struct input *input = spare;

	spare = NULL;
	if (input == NULL) {
		input = PyObject_New(struct input, &type);
		if (input == NULL)
			return NULL;
		input->window = NULL;
	}
	input->file = call->body;
	input->closed = false;
	input->size = call->body >= 0 ? call->body_size : 0;
	input->at = input->start = 0;
	input->filled = 0;
	return (PyObject *)input;
}

void wsgi_input_end(PyObject *object)
{
	struct input *input = (struct input *)object;

	if (input == NULL)
		return;
	input->closed = true;
	input->file = -1;
	if (Py_REFCNT(object) == 1 && spare == NULL)
		spare = input;
	else
		Py_DECREF(object);
}

static void input_free(PyObject *self)
{
	PyMem_Free(((struct input *)self)->window);
	PyObject_Free(self);
}

static PyObject *input_read(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
	struct input *input = (struct input *)self;
	uint64_t size;

	if (check_open(input) == -1 || get_size(arguments, count, "read", &size) == -1)
		return NULL;
	return take(input, size);
}

static PyObject *input_readinto(PyObject *self, PyObject *argument)
{
	struct input *input = (struct input *)self;
	uint64_t left = input->size - input->at;
	Py_buffer buffer;
	size_t size;
	int result;

	if (check_open(input) == -1 || PyObject_GetBuffer(argument, &buffer, PyBUF_WRITABLE) == -1)
		return NULL;
	size = (uint64_t)buffer.len < left ? (size_t)buffer.len : (size_t)left;
	result = take_into(input, buffer.buf, size);
	PyBuffer_Release(&buffer);
	return result == 0 ? PyLong_FromSize_t(size) : NULL;
}

static PyObject *input_readline(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
	struct input *input = (struct input *)self;
	uint64_t limit;

	if (check_open(input) == -1 || get_size(arguments, count, "readline", &limit) == -1)
		return NULL;
	return take_line(input, limit);
}

/* The hint is a number of bytes after which no more lines need be returned. */
static PyObject *input_readlines(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
	struct input *input = (struct input *)self;
	uint64_t hint, begin = input->at;
	PyObject *lines, *line;

	if (check_open(input) == -1 || get_size(arguments, count, "readlines", &hint) == -1)
		return NULL;
	if (hint == 0)
		hint = UINT64_MAX;
	lines = PyList_New(0);
	while (lines != NULL && input->at < input->size && input->at - begin < hint) {
		line = take_line(input, UINT64_MAX);
		if (line == NULL || PyList_Append(lines, line) == -1)
			Py_CLEAR(lines);
		Py_XDECREF(line);
	}
	return lines;
}

static PyObject *input_next(PyObject *self)
{
	struct input *input = (struct input *)self;

	if (check_open(input) == -1 || input->at == input->size)
		return NULL;
	return take_line(input, UINT64_MAX);
}

static PyObject *input_readable(PyObject *self, PyObject *nothing)
{
	(void)nothing;
	return check_open((struct input *)self) == 0 ? Py_NewRef(Py_True) : NULL;
}

static PyObject *input_false(PyObject *self, PyObject *nothing)
{
	(void)self;
	(void)nothing;
	Py_RETURN_FALSE;
}

static PyObject *input_closed(PyObject *self, void *nothing)
{
	(void)nothing;
	return PyBool_FromLong(((struct input *)self)->closed);
}

static int check_open(const struct input *input)
{
	if (!input->closed)
		return 0;
	PyErr_SetString(PyExc_ValueError, "wsgi.input is closed: its request is over");
	return -1;
}

/* The optional argument. Absent, None or negative: no limit. */
static int get_size(PyObject *const *arguments, Py_ssize_t count, const char *name, uint64_t *size)
{
	Py_ssize_t number;

	*size = UINT64_MAX;
	if (count > 1) {
		PyErr_Format(PyExc_TypeError, "wsgi.input: %s takes one argument at most", name);
		return -1;
	}
	if (count == 0 || arguments[0] == Py_None)
		return 0;
	number = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
	if (number == -1 && PyErr_Occurred())
		return -1;
	if (number >= 0)
		*size = (uint64_t)number;
	return 0;
}

/* The next bytes, at most size. */
static PyObject *take(struct input *input, uint64_t size)
{
	uint64_t left = input->size - input->at;
	PyObject *bytes;

	if (size > left)
		size = left;
	bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
	if (bytes != NULL && take_into(input, PyBytes_AS_STRING(bytes), (size_t)size) == -1)
		Py_CLEAR(bytes);
	return bytes;
}

/* Copy exactly size bytes; so many must be left. */
static int take_into(struct input *input, char *to, size_t size)
{
	while (size > 0) {
		uint64_t inside = input->at - input->start;
		size_t part = inside < input->filled ? input->filled - (size_t)inside : 0;
		ssize_t got;

		if (part > 0) {
			part = part < size ? part : size;
			memcpy(to, input->window + inside, part);
		} else if (size < WINDOW) {
			if (fill(input) == -1)
				return -1;
			continue;
		} else {
			got = pread(input->file, to, size, (off_t)input->at);
			if (got == -1 && errno == EINTR)
				continue;
			if (got <= 0) {
				errno = got == 0 ? EIO : errno;
				PyErr_SetFromErrno(PyExc_OSError);
				return -1;
			}
			part = (size_t)got;
		}
		to += part;
		size -= part;
		input->at += part;
	}
	return 0;
}

/* Move the window to the offset of the next read; bytes must be left. */
static int fill(struct input *input)
{
	uint64_t left = input->size - input->at;
	ssize_t got;

	if (input->window == NULL)
		input->window = PyMem_Malloc(WINDOW);
	if (input->window == NULL) {
		PyErr_NoMemory();
		return -1;
	}
	do
		got = pread(input->file, input->window, left < WINDOW ? (size_t)left : WINDOW,
		    (off_t)input->at);
	while (got == -1 && errno == EINTR);
	if (got <= 0) {
		errno = got == 0 ? EIO : errno;
		PyErr_SetFromErrno(PyExc_OSError);
		return -1;
	}
	input->start = input->at;
	input->filled = (size_t)got;
	return 0;
}

static PyObject *take_line(struct input *input, uint64_t limit)
{
	uint64_t size;

	if (find_line_end(input, limit, &size) == -1)
		return NULL;
	return take(input, size);
}

/*
 * Sets *size to the size of the next line with its end, at most the limit and what is left. For a
 * line beyond the window the window moves, and the line is then read once more.
 */
static int find_line_end(struct input *input, uint64_t limit, uint64_t *size)
{
	uint64_t begin = input->at;
	uint64_t most = input->size - begin < limit ? input->size - begin : limit;
	int result = 0;

	*size = 0;
	while (*size < most) {
		uint64_t inside = input->at - input->start;
		size_t part;
		char *end;

		if (inside >= input->filled) {
			result = fill(input);
			if (result == -1)
				break;
			inside = 0;
		}
		part = input->filled - (size_t)inside;
		if (part > most - *size)
			part = (size_t)(most - *size);
		end = memchr(input->window + inside, '\n', part);
		if (end != NULL) {
			*size += (uint64_t)(end + 1 - (input->window + inside));
			break;
		}
		*size += part;
		input->at += part;
	}
	input->at = begin;
	return result;
}

static PyMethodDef methods[] = {
    {"read", (PyCFunction)(void (*)(void))input_read, METH_FASTCALL, "read([size]) -> bytes"},
    {"readinto", input_readinto, METH_O, "readinto(buffer) -> number of bytes"},
    {"readline", (PyCFunction)(void (*)(void))input_readline, METH_FASTCALL,
	"readline([limit]) -> bytes"},
    {"readlines", (PyCFunction)(void (*)(void))input_readlines, METH_FASTCALL,
	"readlines([hint]) -> list of bytes"},
    {"readable", input_readable, METH_NOARGS, "True"},
    {"writable", input_false, METH_NOARGS, "False"},
    {"seekable", input_false, METH_NOARGS, "False"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
    {"closed", input_closed, NULL, "whether its request is over", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0) /**/
	.tp_name = "exthost.Input",
    .tp_basicsize = sizeof(struct input),
    .tp_dealloc = input_free,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "The body of a request (PEP 3333).",
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = input_next,
    .tp_methods = methods,
    .tp_getset = attributes,
};

int wsgi_input_start(void)
{
	return PyType_Ready(&type);
}
