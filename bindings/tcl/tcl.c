/*
 * Tcl as a language of the host: struct binding, and what belongs to the template.
 *
 * The files of this folder, in the order in which a run meets them: tcl_shell makes an interpreter
 * what tclsh makes it (and is the plain interpreter); tcl_packages and tcl_index know the packages,
 * tcl_trial tries one; tcl_warm touches memory ahead; tcl_run runs a script, with its text
 * from tcl_source and its environment from tcl_environment; tcl_error prints errors and takes them
 * to the host; tcl_words calls commands.
 *
 * One interpreter in one thread. Tcl starts a thread of its own only when it first waits for an
 * event, which the template never does; after a fork its own handler (pthread_atfork) makes the
 * notifier new. What is left out on purpose: a new interpreter for each run (1 ms), and Tcl_Finalize.
 */
#include "tcl_binding.h"

#include <stdio.h>
#include <unistd.h>

#include "host/error.h"
#include "tcl_internal.h"

static const char *version(void);
static int start(struct error *e);
static int start_interpreter(struct error *e);
static int preload(const char *package, struct error *e);
static void warm(void);
static void run(struct binding_run *asked) __attribute__((noreturn));

static const char *const suffixes[] = {".tcl", NULL};
static const char *const programs[] = {"tclsh", "wapptclsh", NULL};

const struct binding tcl_binding = {
    .name = "tcl",
    .command = "tclsh",
    .suffixes = suffixes,
    .programs = programs,
    .version = version,
    .interpret = tcl_shell_interpret,
    .start = start,
    .preload = preload,
    .fork = fork,
    .warm = warm,
    .run = run,
};

/* The template's, and so that of every process forked from it. Written once, by start. */
static Tcl_Interp *interpreter;

/* Of the library, which may be newer than the header. */
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
	if (tcl_shell_init(interpreter) != TCL_OK)
		return tcl_error_set(interpreter, e, "start Tcl");
	/* After the start, which takes it from the locale; text is UTF-8 whatever the locale. */
	Tcl_SetSystemEncoding(NULL, "utf-8");
	if (tcl_packages_start(interpreter, e) == -1)
		return -1;
	if (tcl_end_start(interpreter) != TCL_OK || tcl_warm_start(interpreter) != TCL_OK)
		return tcl_error_set(interpreter, e, "start Tcl");
	tcl_error_assert_none(interpreter);
	return 0;
}

static int preload(const char *package, struct error *e)
{
	char **environment = tcl_environment_lend();
	int result = tcl_packages_preload(interpreter, package, e);

	tcl_environment_return(environment);
	tcl_error_assert_none(interpreter);
	return result;
}

static void warm(void)
{
	tcl_warm(interpreter);
}

static void run(struct binding_run *asked)
{
	tcl_run(interpreter, asked);
}
