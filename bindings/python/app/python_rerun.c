/*
 * Rerun: a plain CGI script, compiled once, that runs for each request in a fresh __main__ module
 * of the same process.
 *
 * A run does what python_run and python_end do, with two differences. The process goes on, so
 * whatever the script changed in it is restored (python_rerun_process, python_rerun_system). And
 * the modules that the script imports stay loaded, its own too. This gives the speed, and this is
 * what the author must know: the next request finds what a module keeps.
 *
 * Exit handlers run at the end of each run; those that a module registered when it was imported run
 * only once. What cannot be restored ends the process after the reply: threads and children that
 * live on, descriptors left open, a lost working directory or signal handler. So does a reply that
 * could not be written because the client has gone; the rest of it is discarded.
 */
#include "app/python_rerun.h"
#include "interpreter/python_include.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/python_rerun_process.h"
#include "app/python_rerun_system.h"
#include "app/python_rerun_writers.h"
#include "cgi/python_code.h"
#include "cgi/python_end.h"
#include "cgi/python_run.h"
#include "host/binding.h"
#include "interpreter/python_collect.h"
#include "interpreter/python_error.h"
#include "interpreter/python_flush.h"

static bool drain(void);
static int run(struct binding_app *app, struct binding_call *call, bool *lost);
static PyObject *begin(struct binding_app *app, struct binding_call *call);
static int take_environment(char *const *environment);
static int finish(struct binding_run *run, PyObject *globals, PyObject *result, bool *lost);
static bool has_lasting_threads(void);
static void release(PyObject *globals);

static struct {
	PyObject *code;
	PyObject *idle_main; /* the module __main__ between two runs */
	pid_t worker;
	long young;         /* python_collect_count_young before the run */
	Py_ssize_t modules; /* the size of sys.modules when objects were last frozen */
	char **environment; /* environ(7) during a run */
	size_t capacity;    /* pointers that environment has room for */
} script;

int python_rerun_load(struct binding_app *app)
{
	script.worker = getpid();
	script.code = python_code_compile(app->run);
	python_code_close(app->run);
	script.idle_main = PyDict_GetItemString(PyImport_GetModuleDict(), "__main__");
	Py_XINCREF(script.idle_main);
	if (script.code == NULL || rerun_process_keep() == -1 || rerun_system_keep() == -1)
		return -1;
	return rerun_writers_keep();
}

int python_rerun_answer(struct binding_app *app, struct binding_call *call)
{
	bool lost = false;
	int status = run(app, call, &lost);
	bool restored;

	/*
	 * If the reply cannot be written, an interrupted script may keep more output, to write it
	 * later.
	 */
	if (!drain())
		lost = true;
	if (rerun_process_return() == -1)
		lost = true;
	restored = rerun_process_restore() && !rerun_writers_heard_of_change();
	python_error_assert_none();
	return (status != 0 ? BINDING_FAILED : 0) | (lost || !restored ? BINDING_RETIRE : 0);
}

/* Write what is buffered anywhere. Returns false if it cannot be written; it is discarded then. */
static bool drain(void)
{
	if (rerun_writers_flush())
		return true;
	rerun_process_silence();
	rerun_writers_flush();
	return false;
}

/* Returns the exit status. *lost: the process cannot run the script again. */
static int run(struct binding_app *app, struct binding_call *call, bool *lost)
{
	PyObject *globals = begin(app, call);
	PyObject *result = NULL;
	int status;

	*lost = globals == NULL;
	if (globals == NULL) {
		python_error_print();
		return 1;
	}
	result = PyEval_EvalCode(script.code, globals, globals);
	status = finish(app->run, globals, result, lost);
	rerun_system_restore(call->body >= 0);
	release(globals);
	return status;
}

/*
 * Make everything as it is when python3 starts. Returns the globals of __main__, a new reference.
 */
static PyObject *begin(struct binding_app *app, struct binding_call *call)
{
	PyObject *globals;
	int reply;

	/* A signal handler or a finalizer may have printed since the last run. */
	if (!drain() && !rerun_writers_flush()) {
		PyErr_SetString(PyExc_OSError,
		    "the output of an earlier run can neither be written nor discarded");
		return NULL;
	}
	reply = binding_reply_descriptor(call);
	if (reply == -1 || rerun_process_lend(call->body, reply) == -1) {
		PyErr_SetFromErrno(PyExc_OSError);
		return NULL;
	}
	if (take_environment(call->environment) == -1 || rerun_system_begin() == -1)
		return NULL;
	script.young = python_collect_count_young();
	globals = python_run_take_main();
	if (globals == NULL || python_run_take_script(app->run->script, globals) == -1)
		return NULL;
	return Py_NewRef(globals);
}

/*
 * Set os.environ, and environ(7) for programs that the script starts. setenv(3) writes into the
 * array, so it is a copy.
 */
static int take_environment(char *const *environment)
{
	size_t count = 0;

	while (environment[count] != NULL)
		count++;
	if (count >= script.capacity) {
		char **more = realloc(script.environment, (count + 64) * sizeof(*more));

		if (more == NULL) {
			PyErr_NoMemory();
			return -1;
		}
		script.environment = more;
		script.capacity = count + 64;
	}
	memcpy(script.environment, environment, (count + 1) * sizeof(*environment));
	environ = script.environment;
	return python_run_take_environment((const char *const *)environment);
}

/*
 * End a run as the script sees it. Steals the reference to result. Returns the exit status; *lost
 * as above.
 */
static int finish(struct binding_run *run, PyObject *globals, PyObject *result, bool *lost)
{
	int status = 0;

	/*
	 * The script's output comes before the traceback, and before output of its threads and exit
	 * handlers.
	 */
	python_flush_standard();
	if (result == NULL && PyErr_ExceptionMatches(PyExc_MemoryError))
		binding_no_memory(run);
	if (result == NULL)
		status = python_error_exit();
	Py_XDECREF(result);
	if (getpid() != script.worker) {
		Py_DECREF(globals);
		python_end(run, script.worker, status);
	}
	/* Before python_end_script: threading._shutdown works only once in a process. */
	*lost = has_lasting_threads();
	return python_end_script(status);
}

/* A thread that the script has joined is listed for a moment longer. */
static bool has_lasting_threads(void)
{
	for (int i = 0; python_end_has_threads(); i++) {
		PyThreadState *released;

		if (i == 20)
			return true;
		released = PyEval_SaveThread();
		usleep(100);
		PyEval_RestoreThread(released);
	}
	return false;
}

/*
 * Release __main__. With functions in it, it is a cycle of references, which only the collector
 * frees. What modules added is frozen first, so that the collector has little to look at.
 */
static void release(PyObject *globals)
{
	PyObject *all = PyImport_GetModuleDict();
	Py_ssize_t others;

	if (PyDict_SetItemString(
		all, "__main__", script.idle_main != NULL ? script.idle_main : Py_None) == -1)
		PyErr_Clear();
	others = Py_REFCNT(globals) - 1;
	Py_DECREF(globals);
	/* Other cycles left by this run would print into another reply when they are collected. */
	if (others > 0 || python_collect_count_young() != script.young) {
		/* First: see release_script in python_end.c. */
		if (rerun_process_has_files())
			python_flush_writers();
		python_collect();
		/*
		 * Again, since finalizers may have written, and a frozen file is not found any
		 * more.
		 */
		if (rerun_process_has_files())
			python_flush_writers();
	}
	rerun_writers_look();
	if (PyDict_Size(all) != script.modules) {
		script.modules = PyDict_Size(all);
		python_collect_put_aside();
	}
}
