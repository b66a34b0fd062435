/* stdin, stdout and stderr of an app worker. */
#ifndef EXTHOST_TCL_CHANNEL_H
#define EXTHOST_TCL_CHANNEL_H

#include "interpreter/tcl_include.h"

#include <stdbool.h>

struct binding_call;

/*
 * Once, before the app loads: from now on stdout and stderr are the log, stdin is empty, and
 * closing one of them does not close its descriptor.
 */
void tcl_channel_start(Tcl_Interp *interp);

/*
 * The app has loaded: finish its unfinished line in the log. From now on a request's channels begin
 * with the system encoding that the app has set.
 */
void tcl_channel_loaded(void);

/* A request begins: make stdin its body and stdout its reply. */
void tcl_channel_begin(Tcl_Interp *interp, struct binding_call *call);

/*
 * The request ends: write what is buffered, and replace its channels by ones without a request.
 * Whatever still uses the old ones writes to the log. Finishes an unfinished line in the log.
 * Returns 0, or -1 if the reply could not be written; the reason is on standard error, unless the
 * client has gone.
 */
int tcl_channel_end(Tcl_Interp *interp);

/*
 * Let the name stdout mean the log until tcl_channel_show. Whatever uses the request's channel
 * already goes on using it. Returns false if it was hidden before or there is nothing to hide.
 * Keeps the interpreter's result.
 */
bool tcl_channel_hide(Tcl_Interp *interp);

/* Let the name stdout mean the reply again, if it is hidden. Keeps the interpreter's result. */
void tcl_channel_show(Tcl_Interp *interp);

/* True between tcl_channel_hide and tcl_channel_show. */
bool tcl_channel_is_hidden(void);

/* The request has failed: discard what is still buffered of its reply. */
void tcl_channel_discard(void);

/* True if a write to this request's client found that the client has gone. */
bool tcl_channel_is_broken(void);

#endif
