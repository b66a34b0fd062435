/* Errors on their way to the host and to standard error: this file is the only way. */
#ifndef EXTHOST_TCL_ERROR_H
#define EXTHOST_TCL_ERROR_H

#include "interpreter/tcl_include.h"

struct binding_run;
struct error;

/* Turn the interpreter's result into *e, "doing: result". Returns -1. */
int tcl_error_set(Tcl_Interp *interp, struct error *e, const char *doing);

/* Print what tclsh prints about a script that ended with this completion code. */
void tcl_error_print(Tcl_Interp *interp, int code);

/* The same, and tell the host if the reason is a lack of memory. */
void tcl_error_tell(Tcl_Interp *interp, struct binding_run *run, int code);

/* Clear the result, the error, ::errorInfo and ::errorCode. */
void tcl_error_forget(Tcl_Interp *interp);

/*
 * Abort if the interpreter has a result or an error. Called wherever control returns to the host.
 */
void tcl_error_assert_none(Tcl_Interp *interp);

#endif
