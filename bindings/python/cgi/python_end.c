/*
 * The end of a run: what a script can see of Py_FinalizeEx, and nothing else.
 *
 * Finalizing the interpreter would take 8 ms, nearly all of it to free what the end of the process
 * frees anyway. What shows is done, in Python's order: wait for threads, run exit handlers, flush
 * standard output (status 120 if that fails), and release the script's own modules, so that __del__
 * methods run and open files are flushed. The template's objects are frozen, so the collector looks
 * at the script's alone.
 *
 * Daemon threads run on until the process ends. While there is one, no module is cleared, since the
 * thread may use it.
 */
#include "cgi/python_end.h"
#include "interpreter/python_include.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/binding.h"
#include "interpreter/python_collect.h"
#include "interpreter/python_error.h"
#include "interpreter/python_flush.h"
#include "interpreter/python_modules.h"
#include "interpreter/python_path.h"

static void join_threads(void);
static void call(PyObject *function);
static void release_script(void);
static void restore_system(void);
static void clear_survivors(PyObject *weak);
static void clear_module(PyObject *module);
static void clear_names(PyObject *names, bool private);

enum { STATUS_FLUSH_FAILED = 120, APP_SECONDS = 3 };

/* Looked up once: see python_flush.c. */
static struct {
	PyObject *run_exit_functions; /* atexit._run_exitfuncs */
	PyObject *threading;          /* the name "threading" */
} needed;

int python_end_start(void)
{
	PyObject *module = PyImport_ImportModule("atexit");

	if (module == NULL)
		return -1;
	needed.run_exit_functions = PyObject_GetAttrString(module, "_run_exitfuncs");
	needed.threading = PyUnicode_InternFromString("threading");
	Py_DECREF(module);
	return PyErr_Occurred() == NULL ? 0 : -1;
}

void python_end(struct binding_run *run, pid_t runner, int status)
{
	join_threads();
	call(needed.run_exit_functions);
	if (getpid() == runner)
		python_modules_notice(run);
	if (python_flush_output() == -1)
		status = STATUS_FLUSH_FAILED;
	release_script();
	python_flush_standard();
	fflush(NULL);
	python_error_assert_none();
	binding_end(run, status);
}

int python_end_script(int status)
{
	if (python_end_has_threads())
		join_threads();
	call(needed.run_exit_functions);
	return python_flush_output() == -1 ? STATUS_FLUSH_FAILED : status;
}

static void join_threads(void)
{
	PyObject *threading = PyImport_GetModule(needed.threading);
	PyObject *result = NULL;

	if (threading != NULL) {
		result = PyObject_CallMethod(threading, "_shutdown", NULL);
		if (result == NULL)
			PyErr_WriteUnraisable(threading);
	}
	PyErr_Clear();
	Py_XDECREF(result);
	Py_XDECREF(threading);
}

/*
 * Let SIGALRM raise KeyboardInterrupt after this time (0: never), by Python's own handler for
 * SIGINT.
 */
static void set_alarm(PyObject *signals, int seconds)
{
	PyObject *handler =
	    PyObject_GetAttrString(signals, seconds > 0 ? "default_int_handler" : "SIG_IGN");
	PyObject *old =
	    handler != NULL ? PyObject_CallMethod(signals, "signal", "iO", SIGALRM, handler) : NULL;

	PyErr_Clear();
	alarm((unsigned int)seconds);
	Py_XDECREF(handler);
	Py_XDECREF(old);
}

void python_end_app(void)
{
	PyObject *signals = PyImport_ImportModule("_signal");

	if (signals == NULL)
		python_error_clear();
	else
		set_alarm(signals, APP_SECONDS);
	join_threads();
	if (signals != NULL)
		set_alarm(signals, APP_SECONDS);
	call(needed.run_exit_functions);
	python_flush_output();
	release_script();
	if (signals != NULL)
		set_alarm(signals, 0);
	Py_XDECREF(signals);
	python_flush_standard();
	fflush(NULL);
	python_error_assert_none();
}

static void call(PyObject *function)
{
	PyObject *result = PyObject_CallNoArgs(function);

	if (result == NULL)
		PyErr_WriteUnraisable(function);
	Py_XDECREF(result);
}

static void release_script(void)
{
	PyObject *weak;

	restore_system();
	/*
	 * First, since in a cycle of garbage the collector may close a file's descriptor before its
	 * buffer.
	 */
	python_flush_writers();
	weak = python_modules_forget();
	python_collect();
	if (weak != NULL && !python_end_has_threads())
		clear_survivors(weak);
	Py_XDECREF(weak);
	PyErr_Clear();
	python_flush_writers();
}

/*
 * Undo the script's changes to sys: they would keep its objects alive, as a traceback keeps its
 * frames.
 */
static void restore_system(void)
{
	static const char *const none[] = {"last_type", "last_value", "last_traceback", "last_exc",
	    "path", "argv", "ps1", "ps2", NULL};
	static const char *const names[][2] = {{"stdin", "__stdin__"}, {"stdout", "__stdout__"},
	    {"stderr", "__stderr__"}, {"displayhook", "__displayhook__"},
	    {"excepthook", "__excepthook__"}};

	for (const char *const *name = none; *name != NULL; name++)
		if (PySys_GetObject(*name) != NULL)
			PySys_SetObject(*name, Py_None);
	python_path_drop();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		PyObject *original = PySys_GetObject(names[i][1]);

		if (PySys_GetObject(names[i][0]) != original || original == NULL)
			PySys_SetObject(names[i][0], original != NULL ? original : Py_None);
	}
	PyErr_Clear();
}

bool python_end_has_threads(void)
{
	PyThreadState *first = PyInterpreterState_ThreadHead(PyInterpreterState_Get());

	return first != NULL && PyThreadState_Next(first) != NULL;
}

/*
 * The module that was imported last comes first, but __main__ (which python_modules_forget puts at
 * the end) before it.
 */
static void clear_survivors(PyObject *weak)
{
	bool any = false;

	for (Py_ssize_t i = PyList_GET_SIZE(weak); i-- > 0;) {
		PyObject *module = PyObject_CallNoArgs(PyList_GET_ITEM(weak, i));

		if (module != NULL && PyModule_Check(module)) {
			clear_module(module);
			any = true;
		}
		Py_XDECREF(module);
		PyErr_Clear();
	}
	if (any)
		python_collect();
}

/* Private names first, as in Python, so that what other objects still use goes last. */
static void clear_module(PyObject *module)
{
	PyObject *names = PyModule_GetDict(module);

	if (names == NULL)
		return;
	clear_names(names, true);
	clear_names(names, false);
}

static void clear_names(PyObject *names, bool private)
{
	PyObject *keys = PyDict_Keys(names);

	for (Py_ssize_t i = 0; keys != NULL && i < PyList_GET_SIZE(keys); i++) {
		PyObject *key = PyList_GET_ITEM(keys, i);
		const char *name = PyUnicode_Check(key) ? PyUnicode_AsUTF8(key) : NULL;

		if (name == NULL || (name[0] == '_' && name[1] != '_') != private ||
		    strcmp(name, "__builtins__") == 0)
			continue;
		PyDict_SetItem(names, key, Py_None);
	}
	Py_XDECREF(keys);
	PyErr_Clear();
}
