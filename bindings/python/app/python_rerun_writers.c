/*
 * Rerun: files that may still buffer output when a run has ended.
 *
 * Descriptor 1 belongs to one reply after the other, so a buffer in front of it must be empty when
 * the next reply gets it. Otherwise what a request wrote and could not send would begin another
 * user's page.
 *
 * There are three kinds of buffers. The C library's are flushed all together. Python's own standard
 * files are known. The third are files that a script made around either, and that a module keeps:
 * these must be found. A file on descriptor 1 itself raises an audit event when it is opened; a
 * file around sys.stdout's buffer holds a reference to it. Only after one of these signs are all
 * objects searched, and since this happens before they are frozen, the young ones are enough.
 */
#include "app/python_rerun_writers.h"
#include "interpreter/python_include.h"

#include <stdio.h>
#include <string.h>

#include "interpreter/python_flush.h"

enum { PARTS = 3 }; /* sys.__stdout__, its buffer, and the raw file beneath it */

static int note_event(const char *event, PyObject *arguments, void *data);
static bool has_new_owner(void);
static void take_parts(PyObject *parts[PARTS]);
static void remember(PyObject *writer);

static struct {
	PyObject *files;         /* dict: id of a file, to a weak reference to it */
	PyObject *weak;          /* weakref.ref */
	PyObject *names[PARTS];  /* attributes by which a part is reached; unused for 0 */
	PyObject *parts[PARTS];  /* the parts at the last look */
	Py_ssize_t count[PARTS]; /* their reference counts at the last look */
	bool opened;             /* a file was opened on a descriptor since then */
	bool altered;            /* the process was changed in a way that cannot be undone */
} writers;

int rerun_writers_keep(void)
{
	PyObject *module = PyImport_ImportModule("_weakref");

	writers.files = PyDict_New();
	writers.weak = module != NULL ? PyObject_GetAttrString(module, "ref") : NULL;
	writers.names[1] = PyUnicode_InternFromString("buffer");
	writers.names[2] = PyUnicode_InternFromString("raw");
	Py_XDECREF(module);
	if (PyErr_Occurred())
		return -1;
	has_new_owner();
	return PySys_AddAuditHook(note_event, NULL);
}

/*
 * open and os.fdopen of a descriptor raise an event. Changes that cannot be undone raise one too: a
 * limit cannot be raised again, and an audit hook cannot be removed.
 */
static int note_event(const char *event, PyObject *arguments, void *data)
{
	(void)data;
	if (strcmp(event, "sys.addaudithook") == 0 || strcmp(event, "resource.setrlimit") == 0 ||
	    strcmp(event, "resource.prlimit") == 0)
		writers.altered = true;
	if (!writers.opened && strcmp(event, "open") == 0 && PyTuple_Check(arguments) &&
	    PyTuple_GET_SIZE(arguments) > 0 && PyLong_Check(PyTuple_GET_ITEM(arguments, 0)))
		writers.opened = true;
	return 0;
}

bool rerun_writers_heard_of_change(void)
{
	return writers.altered;
}

void rerun_writers_look(void)
{
	PyObject *found;

	if (!has_new_owner())
		return;
	found = python_flush_find_writers();
	for (Py_ssize_t i = 0; found != NULL && i < PyList_GET_SIZE(found); i++)
		remember(PyList_GET_ITEM(found, i));
	Py_XDECREF(found);
	PyErr_Clear();
}

/* True if some file may write to descriptor 1 that could not at the last look. */
static bool has_new_owner(void)
{
	PyObject *parts[PARTS];
	bool result = writers.opened;

	take_parts(parts);
	for (int i = 0; i < PARTS; i++) {
		Py_ssize_t count = parts[i] != NULL ? Py_REFCNT(parts[i]) : 0;

		/* One reference is the one held here. */
		if (parts[i] != writers.parts[i])
			count++;
		result = result || parts[i] != writers.parts[i] || count != writers.count[i];
		writers.count[i] = count;
		Py_XSETREF(writers.parts[i], Py_XNewRef(parts[i]));
		Py_XDECREF(parts[i]);
	}
	writers.opened = false;
	return result;
}

/* New references. NULL: there is no such part. */
static void take_parts(PyObject *parts[PARTS])
{
	PyObject *file = PySys_GetObject("__stdout__");

	parts[0] = Py_XNewRef(file);
	for (int i = 1; i < PARTS; i++) {
		parts[i] =
		    parts[i - 1] != NULL ? PyObject_GetAttr(parts[i - 1], writers.names[i]) : NULL;
		PyErr_Clear();
	}
}

static void remember(PyObject *writer)
{
	PyObject *key = PyLong_FromVoidPtr(writer);
	PyObject *weak = PyObject_CallOneArg(writers.weak, writer);

	if (key != NULL && weak != NULL)
		PyDict_SetItem(writers.files, key, weak);
	Py_XDECREF(key);
	Py_XDECREF(weak);
	PyErr_Clear();
}

/* Flush the files that still exist, and forget the others. */
static bool flush_files(void)
{
	PyObject *keys = PyDict_Keys(writers.files);
	bool good = keys != NULL;

	for (Py_ssize_t i = 0; keys != NULL && i < PyList_GET_SIZE(keys); i++) {
		PyObject *key = PyList_GET_ITEM(keys, i);
		PyObject *weak = PyDict_GetItemWithError(writers.files, key);
		PyObject *file = weak != NULL ? PyObject_CallNoArgs(weak) : NULL;

		if (file != NULL && file != Py_None)
			good = python_flush_file(file) && good;
		else
			PyDict_DelItem(writers.files, key);
		Py_XDECREF(file);
		PyErr_Clear();
	}
	Py_XDECREF(keys);
	PyErr_Clear();
	return good;
}

bool rerun_writers_flush(void)
{
	bool good = PyDict_GET_SIZE(writers.files) == 0 || flush_files();

	good = python_flush_standard() && good;
	return fflush(NULL) == 0 && good;
}
