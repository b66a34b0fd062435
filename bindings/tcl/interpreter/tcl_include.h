/*
 * The one place where tcl.h is included.
 *
 * The rules of this binding: one interpreter runs in one thread. Where its header does not say
 * otherwise, a function that returns TCL_ERROR leaves its message in the interpreter's result. A
 * function of struct binding leaves the interpreter without a result and without an error.
 *
 * Written for Tcl 8.6 and 9.0: lengths are Tcl_Size, and nothing is used that 9.0 removed.
 */
#ifndef EXTHOST_TCL_INCLUDE_H
#define EXTHOST_TCL_INCLUDE_H

#include <tcl.h>

#ifndef TCL_SIZE_MAX
typedef int Tcl_Size;
#endif

#endif
