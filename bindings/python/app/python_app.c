/*
 * An app in its app worker: loaded once, and called for one request after another.
 *
 * The file runs as a module named exthost_app, with a spec and a loader, in sys.modules, so that
 * pickle finds its classes again and a framework finds what lies beside it. It is not __main__: a
 * block under `if __name__ == "__main__"` is for a run by hand, as under mod_wsgi and uWSGI. It is
 * not named after the file either, since flask.wsgi must not be what `import flask` finds.
 *
 * sys.path is searched in this order: the script's directory, the directories of python-path, the
 * standard library, the packages of the virtual environment or of the system.
 *
 * The files that an app depends on, for the host to watch, are those of all modules loaded since
 * the fork, and, if the app could not be loaded, those that the traceback names and those that a
 * missing module would have.
 */
#include "app/python_app.h"
#include "interpreter/python_include.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/python_lines.h"
#include "app/python_rerun.h"
#include "cgi/python_code.h"
#include "cgi/python_end.h"
#include "cgi/python_run.h"
#include "host/binding.h"
#include "interpreter/python_error.h"
#include "interpreter/python_flush.h"
#include "interpreter/python_modules.h"
#include "interpreter/python_path.h"
#include "wsgi/python_wsgi.h"

static int prepare(struct binding_app *app);
static int load_application(struct binding_app *app);
static PyObject *load_module(struct binding_run *run);
static PyObject *make_module(const char *script);
static int take_application(struct binding_app *app, PyObject *module);
static int write_lines(const char *name);
static void tell_files(struct binding_app *app);
static void tell_traceback(struct binding_app *app);

static const char module_name[] = "exthost_app";

static struct {
	PyObject *application;
	PyObject *told;     /* set of str: files that were reported to the host */
	Py_ssize_t modules; /* the size of sys.modules at that time */
	bool threads;       /* some library has started threads, which may want to call Python */
} loaded;

int python_app_load(struct binding_app *app)
{
	int result = -1;

	loaded.told = PySet_New(NULL);
	if (loaded.told != NULL && prepare(app) == 0)
		result = app->rerun ? python_rerun_load(app) : load_application(app);
	if (PyErr_Occurred()) {
		tell_traceback(app);
		python_error_print();
	}
	tell_files(app);
	python_flush_standard();
	python_lines_end();
	python_error_assert_none();
	return result;
}

static int load_application(struct binding_app *app)
{
	PyObject *module = load_module(app->run);
	int result = module != NULL ? take_application(app, module) : -1;

	Py_XDECREF(module);
	return result;
}

/*
 * Set up what the app finds: environment, arguments, sys.path, standard files. Returns 0, or -1
 * with an exception or with the reason on standard error.
 */
static int prepare(struct binding_app *app)
{
	PyObject *script = PyUnicode_DecodeFSDefault(app->run->script);
	int result = -1;

	if (script != NULL && write_lines("stdout") == 0 && write_lines("stderr") == 0 &&
	    python_lines_start(!app->rerun) == 0 &&
	    python_run_take_environment((const char *const *)app->run->environment) == 0 &&
	    python_run_set_argv(script) == 0)
		result = python_path_take_run(app->run);
	Py_XDECREF(script);
	return result;
}

/*
 * Flush standard output and standard error, which are the log, at the end of each line, so that a
 * request need not flush them. Returns 0 or -1.
 */
static int write_lines(const char *name)
{
	PyObject *file = PySys_GetObject(name);
	PyObject *change = file != NULL ? PyObject_GetAttrString(file, "reconfigure") : NULL;
	PyObject *none = PyTuple_New(0);
	PyObject *how = Py_BuildValue("{sO}", "line_buffering", Py_True);
	PyObject *done = NULL;

	if (change != NULL && none != NULL && how != NULL)
		done = PyObject_Call(change, none, how);
	Py_XDECREF(change);
	Py_XDECREF(none);
	Py_XDECREF(how);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

static PyObject *load_module(struct binding_run *run)
{
	PyObject *module = make_module(run->script);
	PyObject *globals = module != NULL ? PyModule_GetDict(module) : NULL;
	PyObject *code = globals != NULL ? python_code_compile(run) : NULL;
	PyObject *result = NULL;

	python_code_close(run);
	if (code != NULL)
		result = PyEval_EvalCode(code, globals, globals);
	Py_XDECREF(code);
	if (result == NULL)
		Py_CLEAR(module);
	Py_XDECREF(result);
	return module;
}

/*
 * As importlib makes a module, and entered in sys.modules before it loads, since an import may look
 * for it.
 */
static PyObject *make_module(const char *script)
{
	PyObject *util = PyImport_ImportModule("importlib.util");
	PyObject *machinery = PyImport_ImportModule("importlib.machinery");
	PyObject *path = PyUnicode_DecodeFSDefault(script);
	PyObject *builtins = PyImport_ImportModule("builtins");
	PyObject *loader = NULL, *spec = NULL, *module = NULL;

	if (machinery != NULL && path != NULL)
		loader =
		    PyObject_CallMethod(machinery, "SourceFileLoader", "sO", module_name, path);
	if (util != NULL && loader != NULL)
		spec = PyObject_CallMethod(util, "spec_from_loader", "sO", module_name, loader);
	if (spec != NULL)
		module = PyObject_CallMethod(util, "module_from_spec", "O", spec);
	if (module != NULL &&
	    (builtins == NULL ||
		PyDict_SetItemString(PyModule_GetDict(module), "__builtins__", builtins) == -1 ||
		PyDict_SetItemString(PyImport_GetModuleDict(), module_name, module) == -1))
		Py_CLEAR(module);
	Py_XDECREF(util);
	Py_XDECREF(machinery);
	Py_XDECREF(path);
	Py_XDECREF(builtins);
	Py_XDECREF(loader);
	Py_XDECREF(spec);
	return module;
}

/*
 * PEP 3333 gives the application no name: most servers look for "application", Flask's
 * documentation says "app".
 */
static int take_application(struct binding_app *app, PyObject *module)
{
	PyObject *globals = PyModule_GetDict(module);
	const char *name = "application";
	PyObject *application = PyDict_GetItemString(globals, name);
	PyObject *validate;

	if (application == NULL) {
		name = "app";
		application = PyDict_GetItemString(globals, name);
	}
	if (application == NULL) {
		PySys_WriteStderr("%s: it defines neither \"application\" nor \"app\" (PEP 3333)\n",
		    app->run->script);
		return -1;
	}
	if (!PyCallable_Check(application)) {
		PySys_WriteStderr(
		    "%s: its \"%s\" cannot be called (PEP 3333)\n", app->run->script, name);
		return -1;
	}
	loaded.application = Py_NewRef(application);
	if (app->validate) {
		validate = PyImport_ImportModule("wsgiref.validate");
		Py_SETREF(loaded.application,
		    validate != NULL ? PyObject_CallMethod(validate, "validator", "O", application)
				     : NULL);
		Py_XDECREF(validate);
		if (loaded.application == NULL)
			return -1;
	}
	return python_wsgi_start();
}

int python_app_answer(struct binding_app *app, struct binding_call *call)
{
	int result;

	if (app->rerun)
		result = python_rerun_answer(app, call);
	else
		result = python_wsgi_answer(loaded.application, app->run, call);
	python_lines_end();
	if (PyDict_Size(PyImport_GetModuleDict()) != loaded.modules)
		tell_files(app);
	python_error_assert_none();
	return result;
}

/* Runs Python's signal handlers too, since they run in this thread. */
bool python_app_wait(struct binding_app *app, int descriptor)
{
	struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
	int ready;

	(void)app;
	if (PyErr_CheckSignals() == -1)
		python_error_print();
	if (!python_end_has_threads() && !loaded.threads)
		return false;
	do {
		PyThreadState *released = PyEval_SaveThread();

		ready = poll(&wanted, 1, -1);
		PyEval_RestoreThread(released);
		if (ready == -1 && PyErr_CheckSignals() == -1)
			python_error_print();
	} while (ready == -1);
	return true;
}

void python_app_unload(struct binding_app *app)
{
	(void)app;
	Py_CLEAR(loaded.application);
	python_end_app();
}

static void tell(struct binding_app *app, PyObject *file)
{
	const char *path;

	if (!PyUnicode_Check(file) || PySet_Contains(loaded.told, file) != 0)
		return;
	path = PyUnicode_AsUTF8(file);
	if (path != NULL && path[0] == '/' && PySet_Add(loaded.told, file) == 0)
		binding_depends(app, path);
}

/* The link count of /proc/self/task is the number of threads and two. */
static bool has_more_threads(void)
{
	struct stat directory;

	return stat("/proc/self/task", &directory) == 0 && directory.st_nlink > 3;
}

/* Report the files of modules loaded since the fork. Leaves no exception pending. */
static void tell_files(struct binding_app *app)
{
	PyObject *all = PyImport_GetModuleDict();
	PyObject *names = python_modules_new();

	for (Py_ssize_t i = 0; names != NULL && i < PyList_GET_SIZE(names); i++) {
		PyObject *module = PyDict_GetItemWithError(all, PyList_GET_ITEM(names, i));
		PyObject *file = module != NULL && PyModule_Check(module)
				     ? PyDict_GetItemString(PyModule_GetDict(module), "__file__")
				     : NULL;

		if (file != NULL)
			tell(app, file);
		PyErr_Clear();
	}
	Py_XDECREF(names);
	PyErr_Clear();
	loaded.modules = PyDict_Size(all);
	loaded.threads = has_more_threads();
}

/* Report where this missing module, a/b for a.b, would be found in this directory of sys.path. */
static void tell_places(struct binding_app *app, PyObject *directory, PyObject *module)
{
	static const char *const forms[] = {"%U/%U.py", "%U/%U/__init__.py", "%U/%U"};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		PyObject *file = PyUnicode_FromFormat(forms[i], directory, module);

		if (file != NULL)
			tell(app, file);
		Py_XDECREF(file);
	}
}

/* Report the files that the module named by this ModuleNotFoundError would have. */
static void tell_missing(struct binding_app *app, PyObject *error)
{
	PyObject *name = PyObject_GetAttrString(error, "name");
	PyObject *module = name != NULL && PyUnicode_Check(name)
			       ? PyObject_CallMethod(name, "replace", "ss", ".", "/")
			       : NULL;
	PyObject *path = PySys_GetObject("path");

	for (Py_ssize_t i = 0;
	     module != NULL && path != NULL && PyList_Check(path) && i < PyList_GET_SIZE(path); i++)
		if (PyUnicode_Check(PyList_GET_ITEM(path, i)))
			tell_places(app, PyList_GET_ITEM(path, i), module);
	Py_XDECREF(name);
	Py_XDECREF(module);
}

/* Report the files of the pending exception: a module that failed to load is not in sys.modules. */
static void tell_traceback(struct binding_app *app)
{
	PyObject *type, *value, *traceback, *file;

	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	for (PyObject *at = Py_XNewRef(traceback), *next; at != NULL && at != Py_None; at = next) {
		PyObject *frame = PyObject_GetAttrString(at, "tb_frame");
		PyObject *code = frame != NULL ? PyObject_GetAttrString(frame, "f_code") : NULL;

		file = code != NULL ? PyObject_GetAttrString(code, "co_filename") : NULL;
		if (file != NULL)
			tell(app, file);
		Py_XDECREF(frame);
		Py_XDECREF(code);
		Py_XDECREF(file);
		next = PyObject_GetAttrString(at, "tb_next");
		Py_DECREF(at);
	}
	if (value != NULL && PyErr_GivenExceptionMatches(type, PyExc_SyntaxError)) {
		file = PyObject_GetAttrString(value, "filename");
		if (file != NULL)
			tell(app, file);
		Py_XDECREF(file);
	}
	if (value != NULL && PyErr_GivenExceptionMatches(type, PyExc_ModuleNotFoundError))
		tell_missing(app, value);
	PyErr_Clear();
	PyErr_Restore(type, value, traceback);
}
