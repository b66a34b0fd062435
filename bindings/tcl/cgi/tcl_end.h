/* The end of a run, and of an app worker. */
#ifndef EXTHOST_TCL_END_H
#define EXTHOST_TCL_END_H

#include "interpreter/tcl_include.h"

struct binding_run;

/* Look up what an end needs. */
int tcl_end_start(Tcl_Interp *interp);

/* From now on Tcl_Exit ends this run. Returns 0 or -1. */
int tcl_end_prepare(Tcl_Interp *interp, struct binding_run *run);

/*
 * From now on Tcl_Exit ends this app worker; while the app loads, with a message. failed: called if
 * the status is not 0, before the channels are flushed. Returns 0 or -1.
 */
int tcl_end_prepare_app(Tcl_Interp *interp, struct binding_run *run, void (*failed)(void));

/* The app has loaded: from now on it may call `exit`. */
void tcl_end_app_is_loaded(void);

/* From now on this is the interpreter that ends with the process. */
void tcl_end_move(Tcl_Interp *interp);

#endif
