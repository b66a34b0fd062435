/* A script that is read from an open descriptor. */
#ifndef EXTHOST_TCL_SOURCE_H
#define EXTHOST_TCL_SOURCE_H

#include "interpreter/tcl_include.h"

/*
 * Evaluate a script as `tclsh path` does (as wapptclsh, if its first line names that), but read its
 * text from this descriptor, and close it. Returns a Tcl completion code.
 */
int tcl_source_evaluate(Tcl_Interp *interp, Tcl_Obj *path, int descriptor);

#endif
