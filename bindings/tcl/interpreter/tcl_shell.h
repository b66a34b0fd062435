/* What tclsh does before its script, and tclsh itself. */
#ifndef EXTHOST_TCL_SHELL_H
#define EXTHOST_TCL_SHELL_H

#include "interpreter/tcl_include.h"

/*
 * Give a new interpreter what tclsh has when it starts a script, and append the host's own packages
 * to auto_path. Afterwards the system encoding is the locale's, as in tclsh.
 */
int tcl_shell_init(Tcl_Interp *interp);

/*
 * The same, much faster: copy from an interpreter that tcl_shell_init has initialized. The module
 * path is not made; tcl_packages_share knows what is on it.
 */
int tcl_shell_init_like(Tcl_Interp *interp, Tcl_Interp *first);

/*
 * Be tclsh, for struct binding's interpret. begin: called with the name that the program was called
 * by, after the interpreter is initialized; returns a Tcl completion code.
 */
int tcl_shell_interpret(int argc, char **argv, int (*begin)(Tcl_Interp *interp, const char *name));

#endif
