/* Warming: writing ahead to the memory that a run will write. */
#ifndef EXTHOST_TCL_WARM_H
#define EXTHOST_TCL_WARM_H

#include "interpreter/tcl_include.h"

/* In the template: run the sample script once. */
int tcl_warm_start(Tcl_Interp *interp);

/* struct binding: warm. */
void tcl_warm(Tcl_Interp *interp);

#endif
