/*
 * The end of a run: what Py_FinalizeEx does that a script can see, and nothing else.
 *
 * Finalizing the interpreter would cost 8 ms, nearly all of it to free what the end of the process
 * frees anyway. What shows is kept, in Python's order: threads are waited for, exit handlers run,
 * standard output is flushed (status 120 if that fails), and the script's own modules are let go,
 * so that __del__ methods run and files left open are flushed. The template's objects are frozen,
 * so the collection looks at the script's only.
 *
 * A script can tie its objects to a module of the template, which lives on: then a file left open
 * would keep its last lines. Therefore every writer that is still there at the end is flushed.
 *
 * Daemon threads go on until the process ends; while one lives, no module is emptied beneath it.
 */
#include "interpreter/python_internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/binding.h"

static void join_threads(void);
static void call(PyObject *function);
static int flush_output(void);
static int flush_standard(const char *name, bool tell);
static bool is_closed(PyObject *file);
static void release_script(void);
static void restore_system(void);
static void clear_survivors(PyObject *weak);
static void clear_module(PyObject *module);
static void clear_names(PyObject *names, bool private);
static bool is_writer(PyObject *object);

enum { STATUS_FLUSH_FAILED = 120, WRITERS = 3, APP_SECONDS = 3 };

/*
 * Names are made once, and interned: what Python remembers of where a method is, it remembers for
 * this very string, and to look for any other writes to memory that is shared until then.
 */
static struct {
	PyObject *run_exit_functions; /* atexit._run_exitfuncs */
	PyObject *collect;            /* gc.collect */
	PyObject *count;              /* gc.get_count */
	PyObject *get_objects;        /* gc.get_objects */
	PyObject *writers[WRITERS];   /* io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom */
	PyObject *flush, *closed, *buffer, *raw, *write, *threading; /* names */
	PyObject *youngest;                                          /* 0, for gc.collect */
} needed;

static PyObject *look_up(const char *module_name, const char *name)
{
	PyObject *module = PyImport_ImportModule(module_name);
	PyObject *object = module != NULL ? PyObject_GetAttrString(module, name) : NULL;

	Py_XDECREF(module);
	return object;
}

int python_end_start(void)
{
	needed.run_exit_functions = look_up("atexit", "_run_exitfuncs");
	needed.collect = look_up("gc", "collect");
	needed.count = look_up("gc", "get_count");
	needed.get_objects = look_up("gc", "get_objects");
	/* Text first: its flush fills the buffers beneath. */
	needed.writers[0] = look_up("io", "TextIOWrapper");
	needed.writers[1] = look_up("io", "BufferedWriter");
	needed.writers[2] = look_up("io", "BufferedRandom");
	needed.flush = PyUnicode_InternFromString("flush");
	needed.closed = PyUnicode_InternFromString("closed");
	needed.buffer = PyUnicode_InternFromString("buffer");
	needed.raw = PyUnicode_InternFromString("raw");
	needed.write = PyUnicode_InternFromString("write");
	needed.threading = PyUnicode_InternFromString("threading");
	needed.youngest = PyLong_FromLong(0);
	return PyErr_Occurred() == NULL ? 0 : -1;
}

void python_end(struct binding_run *run, pid_t runner, int status)
{
	join_threads();
	call(needed.run_exit_functions);
	if (getpid() == runner)
		python_modules_notice(run);
	if (flush_output() == -1)
		status = STATUS_FLUSH_FAILED;
	release_script();
	python_end_flush_quietly();
	fflush(NULL);
	python_error_assert_none();
	binding_end(run, status);
}

int python_end_script(int status)
{
	if (python_end_has_threads())
		join_threads();
	call(needed.run_exit_functions);
	return flush_output() == -1 ? STATUS_FLUSH_FAILED : status;
}

void python_end_rehearse(void)
{
	static const char *const names[] = {"stdout", "stderr"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		PyObject *file = PySys_GetObject(names[i]);
		PyObject *buffer = file != NULL ? PyObject_GetAttr(file, needed.buffer) : NULL;
		PyObject *raw = buffer != NULL ? PyObject_GetAttr(buffer, needed.raw) : NULL;
		PyObject *write = raw != NULL ? PyObject_GetAttr(raw, needed.write) : NULL;

		PyErr_Clear();
		Py_XDECREF(write);
		Py_XDECREF(raw);
		Py_XDECREF(buffer);
	}
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

/* Python's own handler for SIGINT, for SIGALRM: what takes too long ends with KeyboardInterrupt. */
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
	flush_output();
	release_script();
	if (signals != NULL)
		set_alarm(signals, 0);
	Py_XDECREF(signals);
	python_end_flush_quietly();
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

/* As Python itself: a failure on standard output is told, one on standard error is not. */
static int flush_output(void)
{
	int failed = flush_standard("stdout", true);

	return flush_standard("stderr", false) == -1 ? -1 : failed;
}

/*
 * What is closed is let be. A file of Python's own says so itself when it is flushed, and to ask it
 * before would look up more than the flush.
 */
static int flush_standard(const char *name, bool tell)
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
		if (failed == -1 && tell)
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

static void release_script(void)
{
	PyObject *weak;

	restore_system();
	/* Of a file in a ring of garbage, the collector may close the descriptor before the buffer. */
	python_end_flush_writers();
	weak = python_modules_forget();
	python_end_collect();
	if (weak != NULL && !python_end_has_threads())
		clear_survivors(weak);
	Py_XDECREF(weak);
	PyErr_Clear();
	python_end_flush_writers();
}

/* What the script may have put into sys would keep its objects alive, a traceback its frames. */
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
	python_run_drop_path();
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

/* The last imported first, __main__ (which python_modules_forget puts at the end) before them. */
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
		python_end_collect();
}

/* Private names first, as Python does, so that what others still use goes last. */
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

PyObject *python_end_find_writers(void)
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

void python_end_flush_writers(void)
{
	PyObject *found = python_end_find_writers();

	for (Py_ssize_t i = 0; found != NULL && i < PyList_GET_SIZE(found); i++)
		python_end_flush(PyList_GET_ITEM(found, i));
	Py_XDECREF(found);
}

static bool is_writer(PyObject *object)
{
	for (size_t i = 0; i < WRITERS; i++)
		if (PyObject_TypeCheck(object, (PyTypeObject *)needed.writers[i]))
			return true;
	return false;
}

bool python_end_flush(PyObject *file)
{
	PyObject *result = PyObject_CallMethodNoArgs(file, needed.flush);
	/* It is closed or detached, and buffers nothing. */
	bool good = result != NULL || PyErr_ExceptionMatches(PyExc_ValueError);

	Py_XDECREF(result);
	PyErr_Clear();
	return good;
}

bool python_end_flush_quietly(void)
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
		good = python_end_flush(file);
		Py_DECREF(file);
	}
	PyErr_Restore(type, value, traceback);
	return good;
}

/*
 * Whether nothing has been collected since the last time that everything was: then all objects are
 * of the youngest generation. (To go through all generations gives free memory back as well, which
 * in a process that ends is work for nothing.)
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

long python_end_count_young(void)
{
	PyObject *count = PyObject_CallNoArgs(needed.count);
	long number = 0;

	for (Py_ssize_t i = 0; count != NULL && i < PyTuple_GET_SIZE(count); i++)
		number = number * 65536 + PyLong_AsLong(PyTuple_GET_ITEM(count, i));
	Py_XDECREF(count);
	PyErr_Clear();
	return number;
}

void python_end_collect(void)
{
	PyObject *result = are_all_young() ? PyObject_CallOneArg(needed.collect, needed.youngest)
					   : PyObject_CallNoArgs(needed.collect);

	Py_XDECREF(result);
	PyErr_Clear();
}
