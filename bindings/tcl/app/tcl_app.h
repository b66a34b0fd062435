/* An app in its app worker: struct binding's load, answer and unload. */
#ifndef EXTHOST_TCL_APP_H
#define EXTHOST_TCL_APP_H

#include "interpreter/tcl_include.h"

struct binding_app;
struct binding_call;

int tcl_app_load(Tcl_Interp *interp, struct binding_app *app);
int tcl_app_answer(Tcl_Interp *interp, struct binding_app *app, struct binding_call *call);
void tcl_app_unload(Tcl_Interp *interp, struct binding_app *app);

#endif
