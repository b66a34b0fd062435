/* One run of a script. */
#ifndef EXTHOST_TCL_RUN_H
#define EXTHOST_TCL_RUN_H

#include "interpreter/tcl_include.h"

struct binding_run;

/*
 * Set argv0, argv, argc and tcl_interactive for this script, and seed rand(). Returns the path of
 * the script as a word, a new reference.
 */
Tcl_Obj *tcl_run_prepare(Tcl_Interp *interp, const char *script);

/* struct binding: run. */
void tcl_run(Tcl_Interp *interp, struct binding_run *run) __attribute__((noreturn));

/* End the process as tclsh does after its script. */
void tcl_run_leave(Tcl_Interp *interp, int status) __attribute__((noreturn));

#endif
