/*
 * The stack of a running script, for the host's log.
 *
 * The host asks for it in a signal handler, at any moment: perhaps inside a regular expression that
 * will never end, or while the interpreter changes its own structures. So Python's own function for
 * fatal errors writes it (faulthandler(3) uses it too), which takes no lock and allocates nothing.
 * It is private, but has had the same form since 3.6. If the library does not export it, the stack
 * is written between two instructions instead.
 */
#include "cgi/python_stack.h"
#include "interpreter/python_include.h"

#include <unistd.h>

#include "host/binding.h"

extern const char *_Py_DumpTracebackThreads(
    int file, PyInterpreterState *interpreter, PyThreadState *current) __attribute__((weak));

/* For write_later: a pending call gets one pointer, and a signal handler must not allocate. */
static struct {
	struct binding_run *run;
	int file;
} later;

static int write_later(void *nothing)
{
	PyObject *type, *value, *traceback;
	PyObject *module, *result = NULL;

	(void)nothing;
	PyErr_Fetch(&type, &value, &traceback);
	module = PyImport_ImportModule("faulthandler");
	if (module != NULL)
		result = PyObject_CallMethod(module, "dump_traceback", "i", later.file);
	Py_XDECREF(result);
	Py_XDECREF(module);
	PyErr_Restore(type, value, traceback);
	binding_stack_done(later.run, later.file);
	return 0;
}

bool python_stack(struct binding_run *run, int file)
{
	PyThreadState *current = PyGILState_GetThisThreadState();

	if (_Py_DumpTracebackThreads != NULL) {
		_Py_DumpTracebackThreads(file, PyInterpreterState_Main(), current);
		return true;
	}
	later.run = run;
	later.file = file;
	if (Py_AddPendingCall(write_later, NULL) != 0)
		close(file);
	return false;
}
