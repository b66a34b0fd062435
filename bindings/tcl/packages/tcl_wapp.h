/* wapp, and the name wapptclsh. */
#ifndef EXTHOST_TCL_WAPP_H
#define EXTHOST_TCL_WAPP_H

#include "interpreter/tcl_include.h"

#include <stdbool.h>

/* From now on `package require wapp` finds wapp.tcl beside the script, or says what is missing. */
void tcl_wapp_watch(Tcl_Interp *interp);

/*
 * If the first line of the script names wapptclsh: load sqlite3 and wapp. If either is not
 * installed, the first command that needs it says so. Returns a Tcl completion code.
 */
int tcl_wapp_begin(Tcl_Interp *interp, int source);

/* Likewise, if the plain interpreter was called by this name. */
int tcl_wapp_called(Tcl_Interp *interp, const char *name);

/* begins: an app begins to load, so wapp-start is refused from now on; else it has loaded. */
void tcl_wapp_load(Tcl_Interp *interp, bool begins);

/* Before a request to an app: restore ::wapp to what it was when the app had loaded. */
void tcl_wapp_renew(Tcl_Interp *interp);

#endif
