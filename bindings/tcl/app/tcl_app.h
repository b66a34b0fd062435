/*
 * What the files of apps share: tcl_app, tcl_channel, tcl_children, tcl_wait,
 * tcl_depends, tcl_exit, tcl_events and tcl_rerun. The first of them tells how they work together.
 */
#ifndef EXTHOST_TCL_APP_H
#define EXTHOST_TCL_APP_H

#include "interpreter/tcl_internal.h"

struct binding_app;
struct binding_call;

/* tcl_app.c: struct binding's load, answer and unload. */

int tcl_app_load(Tcl_Interp *interp, struct binding_app *app);
int tcl_app_answer(Tcl_Interp *interp, struct binding_app *app, struct binding_call *call);
void tcl_app_unload(Tcl_Interp *interp, struct binding_app *app);

/* tcl_channel.c: stdin, stdout and stderr in an app worker. */

/*
 * Once, before anything of the app: from here on the three write to the log and read nothing, and
 * closing one does not close its descriptor.
 */
void tcl_channel_start(Tcl_Interp *interp);

/* New ones in the interpreter: stdin is the request's body, stdout its reply. */
void tcl_channel_begin(Tcl_Interp *interp, struct binding_call *call);

/*
 * Write what is left, and put new ones in their place that know no request; the request's write to
 * the log from here on, if something still has them. A line of the log that has no end gets it. 0, or -1: the reply could not be written, and
 * if that is not the client's doing, standard error has the reason.
 */
int tcl_channel_end(Tcl_Interp *interp);

/*
 * Between these two the names of stdout mean the log, though what has the request's channel goes on
 * with it. hide says whether it has done anything; show does nothing where nothing is hidden. The
 * interpreter's result is kept.
 */
bool tcl_channel_hide(Tcl_Interp *interp);
void tcl_channel_show(Tcl_Interp *interp);
bool tcl_channel_is_hidden(void);

/* The request has failed: what has not left yet shall not. */
void tcl_channel_discard(void);

/*
 * The app is loaded: what it wrote to the log is whole lines, and the encoding that it has made the
 * system's is that of each request's channels from now on.
 */
void tcl_channel_loaded(void);

/*
 * The app has changed the system's encoding, in a request perhaps: the request's channels have it
 * too, unless they have been used or another encoding was chosen for them.
 */
void tcl_channel_follow_encoding(void);

/* The client of this request is gone, as something that wrote to it has found. */
bool tcl_channel_is_broken(void);

/* tcl_children.c */

/*
 * The standard channel of this name has been replaced: so it is in the interpreters that this one
 * has made, and that had it.
 */
void tcl_children_follow(Tcl_Interp *interp, Tcl_Channel channel, const char *name);

/* Those that have one channel shall have this one as well; and none shall have it any more. */
void tcl_children_add(Tcl_Interp *interp, Tcl_Channel channel, Tcl_Channel other);
void tcl_children_remove(Tcl_Interp *interp, Tcl_Channel channel);

/* tcl_wait.c: the event loop. */

/* From here on Tcl waits for events by poll(2), in this thread and with no other. */
void tcl_wait_start(void);

/* struct binding: wait. */
bool tcl_wait(int descriptor);

/* tcl_events.c: what an app lets be called later. */

/* From here on, know which request has made it. Returns a Tcl completion code. */
int tcl_events_watch(Tcl_Interp *interp);

/* A request, and its end. */
void tcl_events_begin(void);
void tcl_events_end(void);

/* tcl_depends.c */

/* From here on, report each file that the interpreter sources or loads: binding_depends. */
void tcl_depends_watch(Tcl_Interp *interp, struct binding_app *app);

/* tcl_exit.c */

struct tcl_exit {
	Tcl_CmdInfo command; /* the command itself */
	bool in_request;
	bool called; /* in this request, */
	int status;  /* with this, of 8 bits */
};

/* From here on `exit` in a request cancels the evaluation. Returns a Tcl completion code. */
int tcl_exit_watch(Tcl_Interp *interp, struct tcl_exit *exits);

/* A request, and its end. */
void tcl_exit_begin(struct tcl_exit *exits);
void tcl_exit_end(struct tcl_exit *exits);

/* tcl_rerun.c: an app that is a CGI script, run anew for each request. */

int tcl_rerun_load(Tcl_Interp *interp, struct binding_app *app);
int tcl_rerun_answer(struct binding_app *app, struct binding_call *call);

/* Between two requests: have the next interpreter ready. */
void tcl_rerun_prepare(struct binding_app *app);

#endif
