/* The standard channels in the interpreters that an app has made. */
#ifndef EXTHOST_TCL_CHILDREN_H
#define EXTHOST_TCL_CHILDREN_H

#include "interpreter/tcl_include.h"

/* Replace the standard channel of this name in every child interpreter that has one. */
void tcl_children_follow(Tcl_Interp *interp, Tcl_Channel channel, const char *name);

/* Register a channel in every child interpreter that has the other one. */
void tcl_children_add(Tcl_Interp *interp, Tcl_Channel channel, Tcl_Channel other);

/* Unregister a channel from every child interpreter. */
void tcl_children_remove(Tcl_Interp *interp, Tcl_Channel channel);

#endif
