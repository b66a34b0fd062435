/*
 * Rerun: a plain CGI script that runs for each request in a fresh interpreter of the same process.
 * The interpreter is made ahead, while no request is there. The script finds what it finds in a CGI
 * run: nothing of an earlier request in the interpreter; environment, working directory, umask,
 * signals and system encoding as at the start; body and reply on descriptors 0 and 1, and on stdin
 * and stdout (tcl_channel).
 *
 * The script's variables, commands, timers, open channels and databases end with its interpreter.
 * `exit` ends the request and not the process (tcl_exit), except in an interpreter that the script
 * itself made.
 *
 * A visible leftover ends the process after the reply: another thread, a descriptor that was opened
 * or closed, a child. Not undone and not seen: leaked memory, the state of a C library that a
 * package loaded, exit handlers that a package registered, resource limits. Tcl has no way to share
 * one interpreter's compiled procedures with the next.
 */
#include "app/tcl_rerun.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/tcl_channel.h"
#include "app/tcl_depends.h"
#include "app/tcl_exit.h"
#include "cgi/tcl_end.h"
#include "cgi/tcl_run.h"
#include "cgi/tcl_source.h"
#include "cgi/tcl_stack.h"
#include "host/base/fd.h"
#include "host/base/tuning.h"
#include "host/binding.h"
#include "interpreter/tcl_clock.h"
#include "interpreter/tcl_encoding.h"
#include "interpreter/tcl_environment.h"
#include "interpreter/tcl_error.h"
#include "interpreter/tcl_shell.h"
#include "interpreter/tcl_settings.h"
#include "interpreter/tcl_words.h"
#include "packages/tcl_packages.h"
#include "packages/tcl_path.h"
#include "packages/tcl_trial.h"
#include "packages/tcl_wapp.h"

#define SIGNALS 32

struct rerun {
	struct binding_app *app;
	Tcl_Interp *first; /* the template's interpreter */
	Tcl_Interp *next;  /* the next request's interpreter, made ahead; NULL: not yet */
	Tcl_Obj *path;     /* path of the script */
	struct tcl_exit exits;
	/* The process at its start. */
	int directory; /* the working directory */
	int log;       /* a duplicate of descriptor 2 */
	int null;      /* /dev/null for reading */
	int nowhere;   /* /dev/null for writing */
	mode_t mask;   /* the umask */
	char **environment;
	sigset_t blocked;
	struct sigaction actions[SIGNALS];
};

/* Counts of what a run may leave over. */
struct left {
	int threads, descriptors;
};

static struct rerun *make_rerun(Tcl_Interp *interp, struct binding_app *app);
static int save_process(struct rerun *r);
static Tcl_Interp *make_interpreter(struct rerun *r);
static int run_script(struct rerun *r, Tcl_Interp *interp);
static void reset_precision(Tcl_Interp *interp);
static bool flush_libraries(const struct rerun *r);
static void restore_process(const struct rerun *r);
static struct left count_left(void);
static bool has_children(void);

int tcl_rerun_load(Tcl_Interp *interp, struct binding_app *app)
{
	struct rerun *r = make_rerun(interp, app);

	if (r == NULL || save_process(r) == -1) {
		dprintf(STDERR_FILENO, "%s: %s\n", app->run->script, strerror(errno));
		return -1;
	}
	app->data = r;
	r->next = make_interpreter(r);
	tcl_end_app_is_loaded();
	return r->next != NULL ? 0 : -1;
}

void tcl_rerun_prepare(struct binding_app *app)
{
	struct rerun *r = app->data;

	/* Twice: the first may fail because of a package that is loaded ahead. */
	for (int i = 0; i < 2 && r->next == NULL; i++)
		r->next = make_interpreter(r);
}

static struct rerun *make_rerun(Tcl_Interp *interp, struct binding_app *app)
{
	struct rerun *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->app = app;
	r->first = interp;
	r->path = tcl_run_prepare(interp, app->run->script);
	return r;
}

static int open_high(const char *path, int flags)
{
	return fd_move_high(open(path, flags | O_CLOEXEC));
}

static int save_process(struct rerun *r)
{
	r->directory = open_high(".", O_PATH | O_DIRECTORY);
	r->null = open_high("/dev/null", O_RDONLY);
	r->nowhere = open_high("/dev/null", O_WRONLY);
	r->log = fd_dup_high(STDERR_FILENO);
	r->mask = umask(0);
	umask(r->mask);
	r->environment = environ;
	sigprocmask(SIG_SETMASK, NULL, &r->blocked);
	for (int number = 1; number < SIGNALS; number++)
		sigaction(number, NULL, &r->actions[number]);
	return r->directory == -1 || r->log == -1 || r->null == -1 || r->nowhere == -1 ? -1 : 0;
}

/* tcl_wapp watches `package` beneath tcl_packages, so it comes first. */
static bool watch_packages(const struct rerun *r, Tcl_Interp *interp)
{
	tcl_wapp_watch(interp);
	return tcl_packages_share(interp, r->first) == 0;
}

/* A new interpreter; NULL: the reason is on standard error. */
static Tcl_Interp *make_interpreter(struct rerun *r)
{
	Tcl_Interp *interp = Tcl_CreateInterp();

	if (tcl_shell_init_like(interp, r->first) != TCL_OK || !watch_packages(r, interp) ||
	    tcl_exit_watch(interp, &r->exits) != TCL_OK) {
		tcl_error_print(interp, TCL_ERROR);
		Tcl_DeleteInterp(interp);
		return NULL;
	}
	Tcl_DecrRefCount(tcl_run_prepare(interp, r->app->run->script));
	if (tuning_has(TUNING_TCL_CLOCK))
		tcl_clock_share(interp, r->first);
	tcl_path_add(interp, r->app->run->settings[TCL_SETTING_PATH]);
	tcl_depends_watch(interp, r->app);
	Tcl_Preserve(interp);
	return interp;
}

int tcl_rerun_answer(struct binding_app *app, struct binding_call *call)
{
	struct rerun *r = app->data;
	Tcl_Interp *interp;
	struct left before, after;
	int reply = binding_reply_descriptor(call);
	int result;

	tcl_rerun_prepare(app);
	interp = r->next;
	r->next = NULL;
	if (interp == NULL || tcl_environment_replace(interp, call->environment) == -1)
		return BINDING_FAILED | BINDING_RETIRE;
	before = count_left();
	dup2(call->body != -1 ? call->body : r->null, STDIN_FILENO);
	if (reply != -1)
		dup2(reply, STDOUT_FILENO);
	tcl_channel_begin(interp, call);
	tcl_encoding_begin(interp);
	result = run_script(r, interp);
	if (result != 0)
		tcl_channel_discard();
	if (tcl_channel_end(interp) == -1)
		result |= BINDING_FAILED;
	reset_precision(interp);
	tcl_packages_learn(interp, r->first);
	tcl_environment_leave(interp, r->environment);
	if (!Tcl_InterpDeleted(interp))
		Tcl_DeleteInterp(interp);
	Tcl_Release(interp);
	if (!flush_libraries(r))
		result |= BINDING_RETIRE;
	restore_process(r);
	after = count_left();
	if (memcmp(&before, &after, sizeof(before)) != 0 || has_children())
		result |= BINDING_RETIRE;
	return result;
}

static int run_script(struct rerun *r, Tcl_Interp *interp)
{
	int source = fd_dup_high(r->app->run->source);
	int code;

	if (source == -1 || lseek(source, 0, SEEK_SET) == -1) {
		dprintf(STDERR_FILENO, "%s: %s\n", r->app->run->script, strerror(errno));
		return BINDING_FAILED;
	}
	tcl_end_move(interp);
	tcl_stack_move(interp);
	tcl_exit_begin(&r->exits);
	code = tcl_source_evaluate(interp, r->path, source);
	if (code != TCL_OK && !r->exits.called) {
		if (!tcl_channel_is_broken())
			tcl_error_tell(interp, r->app->run, code);
		r->exits.status = EXIT_FAILURE;
	} else if (code == TCL_OK && !Tcl_InterpDeleted(interp))
		/* As tclsh ends: by the command, since the script may have replaced `exit`. */
		tcl_words(interp, "exit", "0", NULL);
	tcl_exit_end(&r->exits);
	tcl_end_move(r->first);
	tcl_stack_move(r->first);
	return r->exits.status == EXIT_SUCCESS ? 0 : BINDING_FAILED;
}

/* tcl_precision belongs to the thread, not to an interpreter. Tcl 9 does not have it. */
static void reset_precision(Tcl_Interp *interp)
{
	const char *digits = Tcl_GetVar2(interp, "tcl_precision", NULL, TCL_GLOBAL_ONLY);

	if (digits != NULL && strcmp(digits, "0") != 0)
		Tcl_SetVar2(interp, "tcl_precision", NULL, "0", TCL_GLOBAL_ONLY);
}

/*
 * Flush what C libraries have printed, which belongs to this reply. Returns false if it cannot be
 * written; it is discarded then.
 */
static bool flush_libraries(const struct rerun *r)
{
	if (fflush(NULL) == 0)
		return true;
	dup2(r->nowhere, STDOUT_FILENO);
	fflush(NULL);
	return false;
}

static void restore_process(const struct rerun *r)
{
	static const struct itimerval never;
	struct sigaction present;

	setitimer(ITIMER_REAL, &never, NULL);
	setitimer(ITIMER_VIRTUAL, &never, NULL);
	setitimer(ITIMER_PROF, &never, NULL);
	dup2(r->null, STDIN_FILENO);
	dup2(r->log, STDERR_FILENO);
	dup2(r->log, STDOUT_FILENO);
	if (fchdir(r->directory) == -1)
		dprintf(STDERR_FILENO, "%s: working directory: %s\n", r->app->run->script,
		    strerror(errno));
	umask(r->mask);
	sigprocmask(SIG_SETMASK, &r->blocked, NULL);
	for (int number = 1; number < SIGNALS; number++)
		if (sigaction(number, NULL, &present) == 0 &&
		    present.sa_handler != r->actions[number].sa_handler)
			sigaction(number, &r->actions[number], NULL);
	if (strcmp(Tcl_GetEncodingName(NULL), "utf-8") != 0)
		Tcl_SetSystemEncoding(NULL, "utf-8");
}

/* The link count of /proc/self/task is the number of threads and two. */
static struct left count_left(void)
{
	struct stat status;

	return (struct left){
	    .threads = stat("/proc/self/task", &status) == 0 ? (int)status.st_nlink : 0,
	    .descriptors = tcl_trial_count("/proc/self/fd"),
	};
}

/* True if there is a child, except for background processes that have ended. */
static bool has_children(void)
{
	siginfo_t child;

	Tcl_ReapDetachedProcs();
	return waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0;
}
