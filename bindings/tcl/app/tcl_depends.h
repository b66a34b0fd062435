/* The files that an app is made of. */
#ifndef EXTHOST_TCL_DEPENDS_H
#define EXTHOST_TCL_DEPENDS_H

#include "interpreter/tcl_include.h"

struct binding_app;

/* From now on report every file that the interpreter sources or loads to the host. */
void tcl_depends_watch(Tcl_Interp *interp, struct binding_app *app);

#endif
