/*
 * Exceptions on their way to the host. There are two ways: as a struct error, when a call of the
 * host failed, and as the end of a script, with the traceback and the exit status that python3 has
 * for it.
 *
 * PyErr_Print of the C API would do for the second, but on SystemExit it ends the process itself,
 * after finalizing the whole interpreter (8 ms), and the host learns of nothing. So its steps are
 * done here one by one: SystemExit gives a status, any other exception goes to sys.excepthook.
 */
#include "interpreter/python_error.h"

#include <stdio.h>

#include "host/base/error.h"

static PyObject *take(void);
static int system_exit(PyObject *exception);
static void write_to_stderr(PyObject *value);
static PyObject *call_hook(PyObject *exception);
static void display(PyObject *exception);

/* 128 and the number of SIGINT: the status that a shell shows for python3 after Control-C */
enum { STATUS_INTERRUPTED = 130 };

int python_error_exit(void)
{
	PyObject *exception = take();
	int status = 1;

	if (exception == NULL)
		return 1;
	if (PyErr_GivenExceptionMatches(exception, PyExc_SystemExit)) {
		status = system_exit(exception);
		Py_DECREF(exception);
		return status;
	}
	if (Py_IS_TYPE(exception, (PyTypeObject *)PyExc_KeyboardInterrupt))
		status = STATUS_INTERRUPTED;

	PyObject *result = call_hook(exception);
	if (result == NULL) {
		PyObject *second = take();
		if (second != NULL && PyErr_GivenExceptionMatches(second, PyExc_SystemExit)) {
			status = system_exit(second);
		} else {
			PySys_WriteStderr("Error in sys.excepthook:\n");
			display(second);
			PySys_WriteStderr("\nOriginal exception was:\n");
			display(exception);
		}
		Py_XDECREF(second);
	}
	Py_XDECREF(result);
	Py_DECREF(exception);
	python_error_assert_none();
	return status;
}

/*
 * The pending exception as an object with its traceback, and no longer pending; NULL if none was.
 */
static PyObject *take(void)
{
#if PY_VERSION_HEX >= 0x030c0000
	return PyErr_GetRaisedException();
#else
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	if (type == NULL)
		return NULL;
	PyErr_NormalizeException(&type, &value, &traceback);
	if (traceback != NULL)
		PyException_SetTraceback(value, traceback);
	Py_XDECREF(traceback);
	Py_DECREF(type);
	return value;
#endif
}

/* sys.exit(None) is 0, sys.exit(NUMBER) that number, and any other value 1 after it was printed. */
static int system_exit(PyObject *exception)
{
	PyObject *code = PyObject_GetAttrString(exception, "code");
	int status = 1;

	if (code == NULL)
		PyErr_Clear();
	if (code == NULL || code == Py_None) {
		status = 0;
	} else if (PyLong_Check(code)) {
		status = (int)PyLong_AsLong(code);
		PyErr_Clear();
	} else {
		write_to_stderr(code);
		PySys_WriteStderr("\n");
		PyErr_Clear();
	}
	Py_XDECREF(code);
	return status;
}

static void write_to_stderr(PyObject *value)
{
	PyObject *file = PySys_GetObject("stderr");

	if (file != NULL && file != Py_None)
		PyFile_WriteObject(value, file, Py_PRINT_RAW);
	else
		PyObject_Print(value, stderr, Py_PRINT_RAW);
	PyErr_Clear();
	fflush(stderr);
}

/* Sets sys.last_*, as the interactive interpreter does, since debuggers and hooks read them. */
static PyObject *call_hook(PyObject *exception)
{
	PyObject *type = (PyObject *)Py_TYPE(exception);
	PyObject *traceback = PyException_GetTraceback(exception);
	PyObject *trace = traceback != NULL ? traceback : Py_None;
	PyObject *hook = PySys_GetObject("excepthook");
	PyObject *result;

	PySys_SetObject("last_type", type);
	PySys_SetObject("last_value", exception);
	PySys_SetObject("last_traceback", trace);
#if PY_VERSION_HEX >= 0x030c0000
	PySys_SetObject("last_exc", exception);
#endif
	PyErr_Clear();
	if (hook == NULL) {
		PySys_WriteStderr("sys.excepthook is missing\n");
		display(exception);
		Py_XDECREF(traceback);
		Py_RETURN_NONE;
	}
	Py_INCREF(hook);
	result = PyObject_CallFunctionObjArgs(hook, type, exception, trace, NULL);
	Py_DECREF(hook);
	Py_XDECREF(traceback);
	return result;
}

static void display(PyObject *exception)
{
	if (exception == NULL)
		return;
#if PY_VERSION_HEX >= 0x030c0000
	PyErr_DisplayException(exception);
#else
	PyObject *traceback = PyException_GetTraceback(exception);

	PyErr_Display((PyObject *)Py_TYPE(exception), exception, traceback);
	Py_XDECREF(traceback);
#endif
	PyErr_Clear();
}

void python_error_print(void)
{
	PyObject *exception = take();

	display(exception);
	Py_XDECREF(exception);
	python_error_assert_none();
}

int python_error_set(struct error *e, const char *doing)
{
	PyObject *exception = take();
	PyObject *text = exception != NULL ? PyObject_Str(exception) : NULL;
	const char *utf8 = text != NULL ? PyUnicode_AsUTF8(text) : NULL;

	PyErr_Clear();
	if (exception == NULL)
		error_set(e, "%s: failed", doing);
	else
		error_set(e, "%s: %s: %s", doing, Py_TYPE(exception)->tp_name,
		    utf8 != NULL ? utf8 : "(no text)");
	Py_XDECREF(text);
	Py_XDECREF(exception);
	PyErr_Clear();
	/* A struct error is one line; the text of an exception may have several. */
	for (char *c = e != NULL ? e->message : NULL; c != NULL && *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	return -1;
}

int python_error_status(struct error *e, PyStatus status)
{
	return error_set(e, "start Python: %s", status.err_msg != NULL ? status.err_msg : "failed");
}

void python_error_clear(void)
{
	PyErr_Clear();
}

void python_error_assert_none(void)
{
	assert(PyErr_Occurred() == NULL);
}
