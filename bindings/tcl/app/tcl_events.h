/* Which request a callback belongs to, and so whether its stdout is a reply or the log. */
#ifndef EXTHOST_TCL_EVENTS_H
#define EXTHOST_TCL_EVENTS_H

#include "interpreter/tcl_include.h"

/* From now on mark every callback with the request that made it. Returns a Tcl completion code. */
int tcl_events_watch(Tcl_Interp *interp);

/* A request begins. */
void tcl_events_begin(void);

/* The request ends. */
void tcl_events_end(void);

#endif
