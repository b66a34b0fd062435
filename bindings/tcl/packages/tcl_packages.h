/* Which packages the template has loaded, and which a script added. */
#ifndef EXTHOST_TCL_PACKAGES_H
#define EXTHOST_TCL_PACKAGES_H

#include "interpreter/tcl_include.h"

struct binding_run;
struct error;

/*
 * Read the index of the installed packages, and watch `package` from now on. Returns 0, or -1 with
 * *e filled.
 */
int tcl_packages_start(Tcl_Interp *interp, struct error *e);

/*
 * Let a new interpreter use the index of another one, and load the packages that tcl_packages_learn
 * noted. Returns 0, or -1 if a package failed to load; these packages are not loaded again.
 */
int tcl_packages_share(Tcl_Interp *interp, Tcl_Interp *from);

/* Note the packages that a script added to an interpreter, for tcl_packages_share. */
void tcl_packages_learn(Tcl_Interp *interp, Tcl_Interp *from);

/* struct binding: preload. Returns 0, or -1 with *e filled. */
int tcl_packages_preload(Tcl_Interp *interp, const char *name, struct error *e);

/* Tell the host which installed packages the script loaded. */
void tcl_packages_notice(Tcl_Interp *interp, struct binding_run *run);

#endif
