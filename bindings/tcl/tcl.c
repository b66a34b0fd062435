/*
 * Tcl as a language of the host: struct binding, and how the template starts and settles.
 *
 * One interpreter in one thread. Tcl starts a thread of its own only when it first waits for an
 * event, which the template never does. After a fork, Tcl's own handler (pthread_atfork) makes a
 * new notifier.
 *
 * Left out on purpose: a new interpreter for each run (1 ms), and Tcl_Finalize.
 *
 * README.md beside this file leads to the files, in the order in which a run meets them.
 */
#include "tcl_binding.h"
#include "interpreter/tcl_include.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "interpreter/tcl_settings.h"
#include "app/tcl_app.h"
#include "app/tcl_rerun.h"
#include "app/tcl_wait.h"
#include "cgi/tcl_end.h"
#include "cgi/tcl_run.h"
#include "cgi/tcl_stack.h"
#include "cgi/tcl_warm.h"
#include "host/base/error.h"
#include "host/base/tuning.h"
#include "interpreter/tcl_encoding.h"
#include "interpreter/tcl_environment.h"
#include "interpreter/tcl_error.h"
#include "interpreter/tcl_memory.h"
#include "interpreter/tcl_shell.h"
#include "packages/tcl_packages.h"
#include "packages/tcl_wapp.h"

static const char *version(void);
static int interpret(int argc, char **argv);
static int begin_shell(Tcl_Interp *interp, const char *name);
static int start(struct error *e);
static int start_interpreter(struct error *e);
static int make_channels(struct error *e);
static int preload(const char *package, struct error *e);
static int settle(struct error *e);
static void warm(void);
static void run(struct binding_run *asked) __attribute__((noreturn));
static int load(struct binding_app *app);
static int answer(struct binding_app *app, struct binding_call *call);
static bool wait_between(struct binding_app *app, int descriptor);
static void unload(struct binding_app *app);

static const char *const suffixes[] = {".tcl", NULL};
static const char *const programs[] = {"tclsh", "wapptclsh", NULL};

static const struct binding_setting settings[] = {
    [TCL_SETTING_PATH] = {"tcl-path", BINDING_DIRECTORIES,
	"directories in which Tcl extensions find packages, before the installed ones", NULL},
};

/* Nothing to prepare: there is one thread, and no notifier yet. */
static pid_t fork_tcl(pid_t (*make)(void))
{
	return make();
}

const struct binding tcl_binding = {
    .name = "tcl",
    .command = "tclsh",
    .suffixes = suffixes,
    .programs = programs,
    .settings = settings,
    .setting_count = sizeof(settings) / sizeof(settings[0]),
    .version = version,
    .interpret = interpret,
    .start = start,
    .preload = preload,
    .settle = settle,
    .fork = fork_tcl,
    .warm = warm,
    .run = run,
    .stack = tcl_stack,
    .load = load,
    .answer = answer,
    .wait = wait_between,
    .unload = unload,
};

/*
 * The interpreter of the template, and so of every process forked from it. Written once, by start.
 */
static Tcl_Interp *interpreter;

/* The linked library's version, which may be newer than the header's. */
static const char *version(void)
{
	static char number[32];
	int major;
	int minor;
	int patch;
	int type;

	Tcl_GetVersion(&major, &minor, &patch, &type);
	snprintf(number, sizeof(number), "%d.%d.%d", major, minor, patch);
	return number;
}

static int interpret(int argc, char **argv)
{
	return tcl_shell_interpret(argc, argv, begin_shell);
}

static int begin_shell(Tcl_Interp *interp, const char *name)
{
	tcl_wapp_watch(interp);
	return tcl_wapp_called(interp, name);
}

static int start(struct error *e)
{
	char **environment = tcl_environment_lend();
	int result = start_interpreter(e);

	tcl_environment_return(environment);
	return result;
}

static int start_interpreter(struct error *e)
{
	Tcl_FindExecutable(NULL);
	interpreter = Tcl_CreateInterp();
	if (make_channels(e) == -1)
		return -1;
	if (tcl_shell_init(interpreter) != TCL_OK)
		return tcl_error_set(interpreter, e, "start Tcl");
	tcl_wapp_watch(interpreter);
	if (tcl_packages_start(interpreter, e) == -1)
		return -1;
	if (tcl_end_start(interpreter) != TCL_OK || tcl_warm_start(interpreter) != TCL_OK)
		return tcl_error_set(interpreter, e, "start Tcl");
	tcl_encoding_watch(interpreter);
	tcl_stack_start(interpreter);
	tcl_error_assert_none(interpreter);
	return 0;
}

/*
 * Tcl makes the standard channels when it opens its first file, and looks then at what they are. In
 * a run they are a file and pipes; here they might be a terminal, which Tcl would then expect there
 * too. So they are /dev/null while Tcl makes them.
 */
static int make_channels(struct error *e)
{
	static const int types[] = {TCL_STDIN, TCL_STDOUT, TCL_STDERR};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int result = 0;

	if (null == -1)
		return error_errno(e, "open /dev/null");
	/* Whatever Tcl took the locale for, text is UTF-8. */
	Tcl_SetSystemEncoding(NULL, "utf-8");
	for (int number = 0; number <= 2; number++) {
		int saved = fcntl(number, F_DUPFD_CLOEXEC, 3);

		if (saved == -1 || dup2(null, number) == -1 ||
		    Tcl_GetStdChannel(types[number]) == NULL || dup2(saved, number) == -1)
			result = error_errno(e, "start Tcl: standard channel %d", number);
		if (saved != -1)
			close(saved);
	}
	close(null);
	return result;
}

static int preload(const char *package, struct error *e)
{
	char **environment = tcl_environment_lend();
	int result = tcl_packages_preload(interpreter, package, e);

	tcl_environment_return(environment);
	tcl_error_assert_none(interpreter);
	return result;
}

/* Cannot fail. */
static int settle(struct error *e)
{
	(void)e;
	Tcl_ResetResult(interpreter);
	if (tuning_has(TUNING_TCL_MEMORY))
		tcl_memory_settle();
	return 0;
}

static void warm(void)
{
	tcl_warm(interpreter);
}

static void run(struct binding_run *asked)
{
	tcl_run(interpreter, asked);
}

static int load(struct binding_app *app)
{
	return tcl_app_load(interpreter, app);
}

static int answer(struct binding_app *app, struct binding_call *call)
{
	return tcl_app_answer(interpreter, app, call);
}

static bool wait_between(struct binding_app *app, int descriptor)
{
	if (app->rerun)
		tcl_rerun_prepare(app);
	return tcl_wait(descriptor);
}

static void unload(struct binding_app *app)
{
	tcl_app_unload(interpreter, app);
}
