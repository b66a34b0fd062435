/*
 * One run of a script: what `python3 script.py` does after the interpreter has started.
 *
 * A new __main__ module replaces the template's (which is frozen, so the collector would never free
 * it); os.environ is filled again in place, since modules keep a reference to it; sys.argv and
 * sys.path are set. Then the code is evaluated straight from C, so that a traceback begins with the
 * script and shows nothing of the host.
 */
#include "cgi/python_run.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "cgi/python_code.h"
#include "cgi/python_end.h"
#include "host/binding.h"
#include "interpreter/python_error.h"
#include "interpreter/python_flush.h"
#include "interpreter/python_memory.h"
#include "interpreter/python_path.h"
#include "interpreter/python_shadow.h"

static int run_script(struct binding_run *run);
static PyObject *make_main(void);
static PyObject *make_loader(PyObject *script);
static int set_names(PyObject *globals, PyObject *script);
static int set_variable(const char *variable);
static int set_time_zone(void);

static struct {
	PyObject *environment;  /* posix.environ, the dict inside os.environ */
	PyObject *loader;       /* importlib's SourceFileLoader */
	PyObject *loader_path;  /* the name of its attribute "path" */
	PyObject *ready_loader; /* for the first run of a process, which sets its path */
	PyObject *builtins;     /* the module builtins */
} needed;

/*
 * Objects of the template that a run replaces. Freeing one would write to its memory and to that of
 * all objects that it refers to, so the template keeps a reference.
 */
static struct {
	PyObject *main, *argv, *orig_argv, *loader;
} held;

int python_run_start(void)
{
	PyObject *os = PyImport_ImportModule("os");
	PyObject *environment = os != NULL ? PyObject_GetAttrString(os, "environ") : NULL;
	PyObject *machinery = PyImport_ImportModule("importlib._bootstrap_external");

	if (environment != NULL)
		needed.environment = PyObject_GetAttrString(environment, "_data");
	if (machinery != NULL)
		needed.loader = PyObject_GetAttrString(machinery, "SourceFileLoader");
	needed.loader_path = PyUnicode_InternFromString("path");
	needed.builtins = PyImport_ImportModule("builtins");
	Py_XDECREF(os);
	Py_XDECREF(environment);
	Py_XDECREF(machinery);
	if (needed.environment == NULL || needed.loader == NULL || needed.loader_path == NULL ||
	    needed.builtins == NULL)
		return -1;
	if (!PyDict_CheckExact(needed.environment)) {
		PyErr_SetString(PyExc_RuntimeError, "os.environ is not based on a dict");
		return -1;
	}
	return 0;
}

static PyObject *hold_of_system(const char *name)
{
	PyObject *object = PySys_GetObject(name);

	Py_XINCREF(object);
	return object;
}

int python_run_prepare(void)
{
	held.loader = PyObject_CallFunction(needed.loader, "ss", "__main__", "");
	/* After one lookup Python's cache knows this attribute: see python_flush.c. */
	if (held.loader != NULL && PyObject_SetAttr(held.loader, needed.loader_path, Py_None) == 0)
		needed.ready_loader = Py_NewRef(held.loader);
	held.main = PyImport_ImportModule("__main__");
	held.argv = hold_of_system("argv");
	held.orig_argv = hold_of_system("orig_argv");
	return PyErr_Occurred() == NULL ? 0 : -1;
}

void python_run(struct binding_run *run)
{
	pid_t runner = getpid();

	python_error_assert_none();
	python_memory_begin();
	python_end(run, runner, run_script(run));
}

/*
 * Returns the exit status. The script's output is flushed first, so that it comes before the
 * traceback.
 */
static int run_script(struct binding_run *run)
{
	PyObject *globals = python_run_take_main();
	PyObject *code = NULL, *result = NULL;

	if (globals != NULL &&
	    python_run_take_environment((const char *const *)run->environment) == 0 &&
	    python_run_take_script(run->script, globals) == 0 && python_path_take_run(run) == 0) {
		code = python_code_load(run);
		if (code != NULL) {
			python_code_close(run);
			result = PyEval_EvalCode(code, globals, globals);
		} else if (!PyErr_Occurred()) {
			result = python_code_run_file(run, globals);
		}
		Py_XDECREF(code);
	}
	/* As python3: before it waits for threads, too. */
	python_flush_standard();
	if (result != NULL) {
		Py_DECREF(result);
		return 0;
	}
	/* The virtual environment has told on standard error what is wrong with it. */
	if (PyErr_Occurred() == NULL)
		return 1;
	if (PyErr_ExceptionMatches(PyExc_MemoryError))
		binding_no_memory(run);
	return python_error_exit();
}

PyObject *python_run_rehearse(const char *const *environment)
{
	const char *directory = binding_library();
	PyObject *module = make_main();

	if (module != NULL && python_run_take_environment(environment) == 0 &&
	    python_run_take_script(directory, PyModule_GetDict(module)) == 0 &&
	    python_shadow_take(directory) == 0)
		return module;
	Py_XDECREF(module);
	return NULL;
}

PyObject *python_run_take_main(void)
{
	PyObject *module = make_main();
	PyObject *globals = NULL;

	if (module != NULL &&
	    PyDict_SetItemString(PyImport_GetModuleDict(), "__main__", module) == 0)
		globals = PyModule_GetDict(module);
	Py_XDECREF(module);
	return globals;
}

/* A __main__ as the interpreter makes it at its start. */
static PyObject *make_main(void)
{
	PyObject *module = PyModule_New("__main__");
	PyObject *globals = module != NULL ? PyModule_GetDict(module) : NULL;
	PyObject *annotations = PyDict_New();

	if (globals == NULL || annotations == NULL ||
	    PyDict_SetItemString(globals, "__annotations__", annotations) == -1 ||
	    PyDict_SetItemString(globals, "__builtins__", needed.builtins) == -1)
		Py_CLEAR(module);
	Py_XDECREF(annotations);
	return module;
}

/*
 * As Python reads the environment: of two variables with one name the first counts, and text
 * without '=' is ignored. tzset only where TZ is given, since the template has no TZ.
 */
int python_run_take_environment(const char *const *environment)
{
	bool time_zone = false;

	PyDict_Clear(needed.environment);
	for (; *environment != NULL; environment++) {
		if (set_variable(*environment) == -1)
			return -1;
		time_zone = time_zone || strncmp(*environment, "TZ=", 3) == 0;
	}
	return time_zone ? set_time_zone() : 0;
}

void python_run_drop_environment(void)
{
	PyDict_Clear(needed.environment);
}

static int set_variable(const char *variable)
{
	const char *equals = strchr(variable, '=');
	PyObject *name, *value, *kept = NULL;

	if (equals == NULL)
		return 0;
	name = PyBytes_FromStringAndSize(variable, equals - variable);
	value = PyBytes_FromString(equals + 1);
	if (name != NULL && value != NULL)
		kept = PyDict_SetDefault(needed.environment, name, value);
	Py_XDECREF(name);
	Py_XDECREF(value);
	return kept != NULL ? 0 : -1;
}

static int set_time_zone(void)
{
	PyObject *time = PyImport_ImportModule("time");
	PyObject *result = time != NULL ? PyObject_CallMethod(time, "tzset", NULL) : NULL;

	Py_XDECREF(time);
	Py_XDECREF(result);
	return result != NULL ? 0 : -1;
}

int python_run_take_script(const char *path, PyObject *globals)
{
	PyObject *script = PyUnicode_DecodeFSDefault(path);
	int result = -1;

	if (script != NULL && set_names(globals, script) == 0)
		result = python_run_set_argv(script);
	Py_XDECREF(script);
	return result;
}

static PyObject *make_loader(PyObject *script)
{
	PyObject *loader = needed.ready_loader;

	needed.ready_loader = NULL;
	if (loader == NULL)
		return PyObject_CallFunction(needed.loader, "sO", "__main__", script);
	if (PyObject_SetAttr(loader, needed.loader_path, script) == -1)
		Py_CLEAR(loader);
	return loader;
}

static int set_names(PyObject *globals, PyObject *script)
{
	PyObject *loader = make_loader(script);
	int result = -1;

	if (loader != NULL && PyDict_SetItemString(globals, "__loader__", loader) == 0 &&
	    PyDict_SetItemString(globals, "__file__", script) == 0)
		result = PyDict_SetItemString(globals, "__cached__", Py_None);
	Py_XDECREF(loader);
	return result;
}

int python_run_set_argv(PyObject *script)
{
	PyObject *executable = PySys_GetObject("executable");
	PyObject *argv = Py_BuildValue("[O]", script);
	PyObject *original =
	    Py_BuildValue("[OO]", executable != NULL ? executable : Py_None, script);
	int result = -1;

	if (argv != NULL && original != NULL && PySys_SetObject("argv", argv) == 0)
		result = PySys_SetObject("orig_argv", original);
	Py_XDECREF(argv);
	Py_XDECREF(original);
	return result;
}
