/*
 * An app in its app worker: a script that stays loaded, and whose procedure `application` answers
 * one request after another. It is loaded as tclsh would run it, and nothing is undone afterwards:
 * variables, namespaces, databases and timers that stay are what an app is for.
 *
 * Made for each request are ::env (tcl_environment), stdin and stdout (tcl_channel), ::errorInfo
 * and ::errorCode. Everything else that a request changes stays changed: the working directory, the
 * system encoding, the settings of stderr.
 *
 * Between requests the event loop runs (tcl_wait), and so do the app's timers and handlers. It runs
 * in a request too whenever the app waits for an event. What a timer of an earlier request prints
 * then goes to the log, and never into the later request's reply (tcl_events). An error in a timer
 * or a handler is a background error, printed on standard error.
 *
 * `exit` in a request ends the request (tcl_exit) and the worker after it. Anywhere else it is
 * tclsh's, and tcl_end tells how it ends the process.
 */
#include "app/tcl_app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/tcl_channel.h"
#include "app/tcl_depends.h"
#include "app/tcl_events.h"
#include "app/tcl_exit.h"
#include "app/tcl_rerun.h"
#include "app/tcl_wait.h"
#include "cgi/tcl_end.h"
#include "cgi/tcl_run.h"
#include "cgi/tcl_source.h"
#include "host/binding.h"
#include "interpreter/tcl_environment.h"
#include "interpreter/tcl_error.h"
#include "interpreter/tcl_settings.h"
#include "interpreter/tcl_words.h"
#include "packages/tcl_path.h"
#include "packages/tcl_wapp.h"

struct loaded {
	Tcl_Obj *application; /* the command `application`, as a word */
	struct tcl_exit exits;
};

static int load(Tcl_Interp *interp, struct binding_app *app, Tcl_Obj *path);
static int call_application(Tcl_Interp *interp, struct binding_app *app);

int tcl_app_load(Tcl_Interp *interp, struct binding_app *app)
{
	Tcl_Obj *path;
	int result;

	if (tcl_end_prepare_app(interp, app->run, tcl_channel_discard) == -1) {
		dprintf(STDERR_FILENO, "%s: no memory\n", app->run->script);
		return -1;
	}
	tcl_wait_start();
	tcl_channel_start(interp);
	if (app->rerun)
		return tcl_rerun_load(interp, app);
	if (tcl_environment_replace(interp, environ) == -1)
		return -1;
	tcl_environment_follow(interp);
	path = tcl_run_prepare(interp, app->run->script);
	tcl_path_add(interp, app->run->settings[TCL_SETTING_PATH]);
	tcl_depends_watch(interp, app);
	Tcl_Preserve(interp);
	result = load(interp, app, path);
	Tcl_DecrRefCount(path);
	tcl_error_forget(interp);
	return result;
}

static int load(Tcl_Interp *interp, struct binding_app *app, Tcl_Obj *path)
{
	struct binding_run *run = app->run;
	struct loaded *loaded = (struct loaded *)Tcl_Alloc(sizeof(*loaded));
	int code;

	app->data = loaded;
	*loaded = (struct loaded){.application = Tcl_NewStringObj("application", -1)};
	Tcl_IncrRefCount(loaded->application);
	code = tcl_exit_watch(interp, &loaded->exits);
	tcl_wapp_load(interp, true);
	if (code == TCL_OK)
		code = tcl_events_watch(interp);
	if (code == TCL_OK)
		code = tcl_source_evaluate(interp, path, run->source);
	tcl_wapp_load(interp, false);
	if (code != TCL_OK) {
		tcl_error_tell(interp, run, code);
		return -1;
	}
	if (Tcl_InterpDeleted(interp) ||
	    Tcl_FindCommand(interp, "::application", NULL, TCL_GLOBAL_ONLY) == NULL) {
		dprintf(STDERR_FILENO, "%s: an app must define proc application {}\n", run->script);
		return -1;
	}
	/* In `application` it would be empty otherwise; under CGI it is the script. */
	tcl_words(interp, "info", "script", Tcl_GetString(path), NULL);
	tcl_channel_loaded();
	tcl_end_app_is_loaded();
	return 0;
}

int tcl_app_answer(Tcl_Interp *interp, struct binding_app *app, struct binding_call *call)
{
	int result;

	if (app->rerun)
		return tcl_rerun_answer(app, call);
	if (tcl_environment_replace(interp, call->environment) == -1) {
		binding_no_memory(app->run);
		dprintf(STDERR_FILENO, "%s: no memory\n", app->run->script);
		return BINDING_FAILED;
	}
	tcl_wapp_renew(interp);
	tcl_channel_begin(interp, call);
	result = call_application(interp, app);
	if ((result & BINDING_FAILED) != 0)
		tcl_channel_discard();
	if (tcl_channel_end(interp) == -1)
		result |= BINDING_FAILED;
	tcl_error_forget(interp);
	if (Tcl_InterpDeleted(interp) || Tcl_LimitExceeded(interp))
		result |= BINDING_RETIRE;
	return result;
}

static int call_application(Tcl_Interp *interp, struct binding_app *app)
{
	struct loaded *loaded = app->data;
	int code;

	tcl_exit_begin(&loaded->exits);
	tcl_events_begin();
	code = Tcl_EvalObjv(interp, 1, &loaded->application, TCL_EVAL_GLOBAL);
	tcl_events_end();
	tcl_exit_end(&loaded->exits);
	if (loaded->exits.called && loaded->exits.status == EXIT_SUCCESS)
		return BINDING_RETIRE;
	if (loaded->exits.called) {
		dprintf(
		    STDERR_FILENO, "%s: exit status %d\n", app->run->script, loaded->exits.status);
		return BINDING_FAILED | BINDING_RETIRE;
	}
	if (code == TCL_OK)
		return 0;
	/* A client that has gone is no fault of the app's, and the host sees it too. */
	if (!tcl_channel_is_broken())
		tcl_error_tell(interp, app->run, code);
	return BINDING_FAILED;
}

void tcl_app_unload(Tcl_Interp *interp, struct binding_app *app)
{
	const struct loaded *loaded = app->rerun ? NULL : app->data;

	/*
	 * After an `exit` in a request, the app's own replacement of `exit` was called already;
	 * else it is now.
	 */
	if (loaded != NULL && loaded->exits.called)
		Tcl_Exit(EXIT_SUCCESS);
	tcl_run_leave(interp, EXIT_SUCCESS);
}
