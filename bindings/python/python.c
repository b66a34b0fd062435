/*
 * CPython as a language of the host: struct binding, and how the template starts and settles.
 *
 * One interpreter and one thread, which holds the interpreter's lock from the start to the end of
 * the process. It releases the lock only while an app worker waits: for the next request, or for a
 * slow client while other threads want to run.
 *
 * Left out on purpose: sub-interpreters (a new one takes 8 ms, and many extension modules refuse
 * them), and finalization of the interpreter.
 *
 * README.md beside this file leads to the files, in the order in which a run meets them.
 */
#include "python.h"
#include "interpreter/python_settings.h"
#include "interpreter/python_include.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/python_app.h"
#include "cgi/python_code.h"
#include "cgi/python_end.h"
#include "cgi/python_run.h"
#include "cgi/python_stack.h"
#include "cgi/python_warm.h"
#include "host/base/error.h"
#include "host/base/tuning.h"
#include "interpreter/python_collect.h"
#include "interpreter/python_config.h"
#include "interpreter/python_error.h"
#include "interpreter/python_flush.h"
#include "interpreter/python_memory.h"
#include "interpreter/python_modules.h"
#include "interpreter/python_path.h"
#include "interpreter/python_stdio.h"
#include "interpreter/python_venv.h"

static const char *version(void);
static int start(struct error *e);
static int settle(struct error *e);
static pid_t fork_python(pid_t (*make)(void));

static const char *const suffixes[] = {".py", ".wsgi", NULL};
static const char *const programs[] = {"python", NULL};

static const struct binding_setting settings[] = {
    [PYTHON_SETTING_VENV] = {"python-venv", BINDING_DIRECTORY,
	"the virtual environment of Python extensions", python_venv_check},
    [PYTHON_SETTING_PATH] = {"python-path", BINDING_DIRECTORIES,
	"directories in which Python extensions find modules, before the installed ones", NULL},
};

const struct binding python_binding = {
    .name = "python",
    .command = "python",
    .apart = true,
    .suffixes = suffixes,
    .programs = programs,
    .settings = settings,
    .setting_count = sizeof(settings) / sizeof(settings[0]),
    .version = version,
    .interpret = python_interpret,
    .start = start,
    .preload = python_modules_preload,
    .settle = settle,
    .fork = fork_python,
    .warm = python_warm,
    .run = python_run,
    .stack = python_stack,
    .load = python_app_load,
    .answer = python_app_answer,
    .wait = python_app_wait,
    .unload = python_app_unload,
};

/* The linked library's version, up to the blank in "3.11.2 (main, ...". */
static const char *version(void)
{
	static char number[32];
	const char *text = Py_GetVersion();

	snprintf(number, sizeof(number), "%.*s", (int)strcspn(text, " "), text);
	return number;
}

static int start(struct error *e)
{
	struct python_stdio stdio;
	int result;

	if (python_stdio_lend(&stdio, e) == -1)
		return -1;
	result = python_config_start(e);
	python_stdio_return(&stdio);
	if (result == -1)
		return -1;
	if (python_path_add_library() == -1 || python_modules_start() == -1 ||
	    python_flush_start() == -1 || python_collect_start() == -1 ||
	    python_code_start() == -1 || python_run_start() == -1 || python_end_start() == -1 ||
	    python_warm_start() == -1)
		return python_error_set(e, "start Python");
	python_modules_import_common();
	python_error_assert_none();
	return 0;
}

static int settle(struct error *e)
{
	if (python_modules_freeze() == -1)
		return python_error_set(e, "settle Python");
	if (python_run_prepare() == -1 || python_path_hold() == -1)
		return python_error_set(e, "settle Python");
	python_run_drop_environment();
	python_collect_put_aside();
	if (tuning_has(TUNING_PYTHON_OBJECTS))
		python_memory_reserve();
	python_error_assert_none();
	return 0;
}

static pid_t fork_python(pid_t (*make)(void))
{
	pid_t child;
	int saved;

	PyOS_BeforeFork();
	child = make();
	saved = errno;
	if (child == 0)
		PyOS_AfterFork_Child();
	else
		PyOS_AfterFork_Parent();
	python_error_assert_none();
	errno = saved;
	return child;
}
