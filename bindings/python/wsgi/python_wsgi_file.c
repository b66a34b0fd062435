/*
 * wsgi.file_wrapper: an iterable over the blocks of a file, which the server may recognize and
 * replace by sending the file itself.
 *
 * That is right only if the file's read returns what the descriptor has, and an object with a
 * fileno need not be like that: the fileno of a gzip.GzipFile is the compressed file. So only files
 * that open() makes in binary mode, and tempfile around such a file, are sent as a whole, from the
 * object's position to the end. Pipes and everything else are read block by block.
 */
#include "wsgi/python_wsgi_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "wsgi/python_wsgi_reply.h"

struct wrapper {
	PyObject_HEAD PyObject *file;
	PyObject *block; /* int: bytes to read at a time */
};

static PyObject *find_plain(PyObject *file);
static int is_of(PyObject *object, const char *module, const char *name);
static off_t get_position(PyObject *file);

static PyTypeObject type;

static PyObject *wrapper_new(PyTypeObject *subtype, PyObject *arguments, PyObject *keywords)
{
	static char filelike[] = "filelike", blksize[] = "blksize";
	static char *names[] = {filelike, blksize, NULL};
	PyObject *file;
	Py_ssize_t block = 8192;
	struct wrapper *wrapper;

	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|n", names, &file, &block))
		return NULL;
	wrapper = (struct wrapper *)subtype->tp_alloc(subtype, 0);
	if (wrapper == NULL)
		return NULL;
	wrapper->file = Py_NewRef(file);
	wrapper->block = PyLong_FromSsize_t(block > 0 ? block : 8192);
	if (wrapper->block == NULL)
		Py_CLEAR(wrapper);
	return (PyObject *)wrapper;
}

static int wrapper_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(((struct wrapper *)self)->file);
	return 0;
}

static int wrapper_clear(PyObject *self)
{
	Py_CLEAR(((struct wrapper *)self)->file);
	return 0;
}

static void wrapper_free(PyObject *self)
{
	PyObject_GC_UnTrack(self);
	wrapper_clear(self);
	Py_CLEAR(((struct wrapper *)self)->block);
	Py_TYPE(self)->tp_free(self);
}

static PyObject *wrapper_next(PyObject *self)
{
	struct wrapper *wrapper = (struct wrapper *)self;
	PyObject *data = PyObject_CallMethod(wrapper->file, "read", "O", wrapper->block);
	int more = data != NULL ? PyObject_IsTrue(data) : -1;

	if (more != 1)
		Py_CLEAR(data);
	return data;
}

static PyObject *wrapper_close(PyObject *self, PyObject *nothing)
{
	PyObject *close = PyObject_GetAttrString(((struct wrapper *)self)->file, "close");
	PyObject *result;

	(void)nothing;
	if (close == NULL) {
		if (!PyErr_ExceptionMatches(PyExc_AttributeError))
			return NULL;
		PyErr_Clear();
		Py_RETURN_NONE;
	}
	result = PyObject_CallNoArgs(close);
	Py_DECREF(close);
	return result;
}

int wsgi_file_send(PyObject *self, struct wsgi_reply *reply)
{
	PyObject *file = find_plain(((struct wrapper *)self)->file);
	int fd = file != NULL ? PyObject_AsFileDescriptor(file) : -1;
	struct stat status;
	off_t before, position;
	int result;

	/* A file in /proc has the size 0 and yet has bytes. */
	if (fd == -1 || fstat(fd, &status) == -1 || !S_ISREG(status.st_mode) ||
	    status.st_size == 0) {
		PyErr_Clear();
		Py_XDECREF(file);
		return -1;
	}
	position = get_position(file);
	Py_DECREF(file);
	/*
	 * Restored on failure: the object has read ahead, and relies on this offset if it must be
	 * read after all.
	 */
	before = lseek(fd, 0, SEEK_CUR);
	if (position == -1 || before == -1 || lseek(fd, position, SEEK_SET) == -1) {
		PyErr_Clear();
		return -1;
	}
	result = wsgi_reply_file(
	    reply, fd, status.st_size > position ? (uint64_t)(status.st_size - position) : 0);
	if (result == -1)
		lseek(fd, before, SEEK_SET);
	return result;
}

/*
 * The object whose descriptor has exactly what the file's read returns: a new reference, or NULL.
 */
static PyObject *find_plain(PyObject *file)
{
	PyObject *plain = NULL, *raw = NULL;

	if (is_of(file, "tempfile", "_TemporaryFileWrapper"))
		plain = PyObject_GetAttrString(file, "file");
	else
		plain = Py_NewRef(file);
	if (plain == NULL || is_of(plain, "_io", "FileIO"))
		return plain;
	if (is_of(plain, "_io", "BufferedReader") || is_of(plain, "_io", "BufferedRandom"))
		raw = PyObject_GetAttrString(plain, "raw");
	if (raw == NULL || !is_of(raw, "_io", "FileIO"))
		Py_CLEAR(plain);
	Py_XDECREF(raw);
	return plain;
}

/* True if the object's type is this very type of a module, and not a subclass. */
static int is_of(PyObject *object, const char *module_name, const char *name)
{
	PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), module_name);
	PyObject *found = module != NULL ? PyObject_GetAttrString(module, name) : NULL;
	int same = found != NULL && (PyObject *)Py_TYPE(object) == found;

	Py_XDECREF(found);
	PyErr_Clear();
	return same;
}

/* Flush the object, and return where its next read would begin; or -1. */
static off_t get_position(PyObject *file)
{
	PyObject *flushed = PyObject_CallMethod(file, "flush", NULL);
	PyObject *told = flushed != NULL ? PyObject_CallMethod(file, "tell", NULL) : NULL;
	off_t position = told != NULL ? (off_t)PyLong_AsLongLong(told) : -1;

	Py_XDECREF(flushed);
	Py_XDECREF(told);
	return position;
}

static PyMethodDef methods[] = {
    {"close", wrapper_close, METH_NOARGS, "close the file"},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0) /**/
	.tp_name = "exthost.FileWrapper",
    .tp_basicsize = sizeof(struct wrapper),
    .tp_dealloc = wrapper_free,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .tp_doc = "FileWrapper(filelike, blksize=8192): a file as the body of a reply (PEP 3333).",
    .tp_traverse = wrapper_traverse,
    .tp_clear = wrapper_clear,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = wrapper_next,
    .tp_methods = methods,
    .tp_alloc = PyType_GenericAlloc,
    .tp_new = wrapper_new,
    .tp_free = PyObject_GC_Del,
};

int wsgi_file_start(void)
{
	return PyType_Ready(&type);
}

PyObject *wsgi_file_wrapper(void)
{
	return (PyObject *)&type;
}

bool wsgi_file_check(PyObject *result)
{
	return Py_IS_TYPE(result, &type);
}
