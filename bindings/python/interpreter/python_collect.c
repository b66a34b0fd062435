/*
 * Garbage collection in a process that shares its memory with the template.
 *
 * A collection writes to the header of every object that it looks at, and the kernel copies the
 * page. It never looks at a frozen object (gc.freeze).
 */
#include "interpreter/python_collect.h"
#include "interpreter/python_include.h"

#include <stdbool.h>

#include "host/base/tuning.h"
#include "interpreter/python_error.h"

static int freeze(void);

/* Looked up once: see python_flush.c. */
static struct {
	PyObject *collect;  /* gc.collect */
	PyObject *count;    /* gc.get_count */
	PyObject *youngest; /* 0, for gc.collect */
} needed;

int python_collect_start(void)
{
	PyObject *gc = PyImport_ImportModule("gc");

	if (gc == NULL)
		return -1;
	needed.collect = PyObject_GetAttrString(gc, "collect");
	needed.count = PyObject_GetAttrString(gc, "get_count");
	needed.youngest = PyLong_FromLong(0);
	Py_DECREF(gc);
	return PyErr_Occurred() == NULL ? 0 : -1;
}

/*
 * True if all objects are in the youngest generation, since none has been collected after the last
 * full collection. (A full collection also frees memory, which is a waste in a process that ends.)
 */
static bool are_all_young(void)
{
	PyObject *count = PyObject_CallNoArgs(needed.count);
	bool result = count != NULL && PyTuple_Check(count) && PyTuple_GET_SIZE(count) == 3 &&
		      PyLong_AsLong(PyTuple_GET_ITEM(count, 1)) == 0 &&
		      PyLong_AsLong(PyTuple_GET_ITEM(count, 2)) == 0;

	Py_XDECREF(count);
	PyErr_Clear();
	return result;
}

long python_collect_count_young(void)
{
	PyObject *count = PyObject_CallNoArgs(needed.count);
	long number = 0;

	for (Py_ssize_t i = 0; count != NULL && i < PyTuple_GET_SIZE(count); i++)
		number = number * 65536 + PyLong_AsLong(PyTuple_GET_ITEM(count, i));
	Py_XDECREF(count);
	PyErr_Clear();
	return number;
}

void python_collect(void)
{
	PyObject *result = are_all_young() ? PyObject_CallOneArg(needed.collect, needed.youngest)
					   : PyObject_CallNoArgs(needed.collect);

	Py_XDECREF(result);
	PyErr_Clear();
}

int python_collect_freeze(void)
{
	if (!tuning_has(TUNING_PYTHON_FREEZE))
		return 0;
	python_collect();
	return freeze();
}

void python_collect_put_aside(void)
{
	if (python_collect_freeze() == -1)
		python_error_clear();
}

static int freeze(void)
{
	PyObject *gc = PyImport_ImportModule("gc");
	PyObject *result = gc != NULL ? PyObject_CallMethod(gc, "freeze", NULL) : NULL;

	Py_XDECREF(gc);
	Py_XDECREF(result);
	/*
	 * This finds no garbage, but it empties the lists of free objects, which lie in shared
	 * memory.
	 */
	PyGC_Collect();
	return result != NULL ? 0 : -1;
}
