/* The command `clock` in a fresh interpreter. */
#ifndef EXTHOST_TCL_CLOCK_H
#define EXTHOST_TCL_CLOCK_H

#include "interpreter/tcl_include.h"

/* Let a new interpreter's `clock` be answered by another interpreter, which has loaded it. */
void tcl_clock_share(Tcl_Interp *interp, Tcl_Interp *first);

#endif
