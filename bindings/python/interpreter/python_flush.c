/*
 * Flushing: Python's files that still buffer output when a script, a request or a process ends.
 *
 * sys.stdout and sys.stderr are flushed as python3 flushes them. Every other file that is open for
 * writing is found through the garbage collector. A script can tie its files to a module of the
 * template, which is never finalized; without this they would keep their last lines.
 */
#include "interpreter/python_flush.h"

static int flush_as_python(const char *name, bool report);
static bool is_closed(PyObject *file);
static bool is_writer(PyObject *object);

enum { WRITERS = 3 };

/*
 * Looked up once, and names interned: Python's method cache is keyed by the very string, and a
 * lookup by another string writes to memory that is shared until then.
 */
static struct {
	PyObject *get_objects;      /* gc.get_objects */
	PyObject *writers[WRITERS]; /* io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom */
	PyObject *flush, *closed;   /* names */
} needed;

static PyObject *look_up(const char *module_name, const char *name)
{
	PyObject *module = PyImport_ImportModule(module_name);
	PyObject *object = module != NULL ? PyObject_GetAttrString(module, name) : NULL;

	Py_XDECREF(module);
	return object;
}

int python_flush_start(void)
{
	needed.get_objects = look_up("gc", "get_objects");
	/* Text first: its flush fills the buffers beneath it. */
	needed.writers[0] = look_up("io", "TextIOWrapper");
	needed.writers[1] = look_up("io", "BufferedWriter");
	needed.writers[2] = look_up("io", "BufferedRandom");
	needed.flush = PyUnicode_InternFromString("flush");
	needed.closed = PyUnicode_InternFromString("closed");
	return PyErr_Occurred() == NULL ? 0 : -1;
}

int python_flush_output(void)
{
	int failed = flush_as_python("stdout", true);

	return flush_as_python("stderr", false) == -1 ? -1 : failed;
}

/*
 * A closed file is left alone. One of Python's own types raises an error itself when it is flushed,
 * and to ask it before would look up more than the flush does.
 */
static int flush_as_python(const char *name, bool report)
{
	PyObject *file = PySys_GetObject(name);
	bool own = file != NULL && Py_IS_TYPE(file, (PyTypeObject *)needed.writers[0]);
	PyObject *type, *value, *traceback, *result;
	int failed = 0;

	if (file == NULL || file == Py_None || (!own && is_closed(file)))
		return 0;
	Py_INCREF(file);
	result = PyObject_CallMethodNoArgs(file, needed.flush);
	if (result == NULL) {
		PyErr_Fetch(&type, &value, &traceback);
		failed = own && is_closed(file) ? 0 : -1;
		PyErr_Restore(type, value, traceback);
		if (failed == -1 && report)
			PyErr_WriteUnraisable(file);
	}
	PyErr_Clear();
	Py_XDECREF(result);
	Py_DECREF(file);
	return failed;
}

static bool is_closed(PyObject *file)
{
	PyObject *closed = PyObject_GetAttr(file, needed.closed);
	int result = closed != NULL ? PyObject_IsTrue(closed) : 0;

	Py_XDECREF(closed);
	PyErr_Clear();
	return result == 1;
}

bool python_flush_standard(void)
{
	static const char *const names[] = {"stderr", "stdout"};
	PyObject *type, *value, *traceback;
	bool good = true;

	PyErr_Fetch(&type, &value, &traceback);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		PyObject *file = PySys_GetObject(names[i]);

		if (file == NULL)
			continue;
		Py_INCREF(file);
		good = python_flush_file(file);
		Py_DECREF(file);
	}
	PyErr_Restore(type, value, traceback);
	return good;
}

bool python_flush_file(PyObject *file)
{
	PyObject *result = PyObject_CallMethodNoArgs(file, needed.flush);
	/* A closed or detached file buffers nothing. */
	bool good = result != NULL || PyErr_ExceptionMatches(PyExc_ValueError);

	Py_XDECREF(result);
	PyErr_Clear();
	return good;
}

PyObject *python_flush_find_writers(void)
{
	PyObject *objects = PyObject_CallNoArgs(needed.get_objects);
	PyObject *found = PyList_New(0);

	for (Py_ssize_t i = 0; objects != NULL && i < PyList_GET_SIZE(objects); i++)
		if (found != NULL && is_writer(PyList_GET_ITEM(objects, i)))
			PyList_Append(found, PyList_GET_ITEM(objects, i));
	Py_XDECREF(objects);
	PyErr_Clear();
	return found;
}

void python_flush_writers(void)
{
	PyObject *found = python_flush_find_writers();

	for (Py_ssize_t i = 0; found != NULL && i < PyList_GET_SIZE(found); i++)
		python_flush_file(PyList_GET_ITEM(found, i));
	Py_XDECREF(found);
}

static bool is_writer(PyObject *object)
{
	for (size_t i = 0; i < WRITERS; i++)
		if (PyObject_TypeCheck(object, (PyTypeObject *)needed.writers[i]))
			return true;
	return false;
}
