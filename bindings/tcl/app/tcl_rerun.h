/* Rerun: a CGI script that runs again and again in one process. */
#ifndef EXTHOST_TCL_RERUN_H
#define EXTHOST_TCL_RERUN_H

#include "interpreter/tcl_include.h"

struct binding_app;
struct binding_call;

/* struct binding: load. */
int tcl_rerun_load(Tcl_Interp *interp, struct binding_app *app);

/* struct binding: answer. */
int tcl_rerun_answer(struct binding_app *app, struct binding_call *call);

/* Between two requests: make the interpreter of the next one ahead. */
void tcl_rerun_prepare(struct binding_app *app);

#endif
