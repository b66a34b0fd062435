/* A package on trial. */
#ifndef EXTHOST_TCL_TRIAL_H
#define EXTHOST_TCL_TRIAL_H

#include "interpreter/tcl_include.h"

struct error;

/*
 * Load a package in a child process, to learn whether the template may load it. Returns 0, or -1
 * with *e filled if loading fails, hangs, or leaves a thread or an open descriptor behind.
 */
int tcl_trial_package(Tcl_Interp *interp, const char *name, struct error *e);

/* How many names a directory of /proc holds, less its own descriptor; -1: it cannot be read. */
int tcl_trial_count(const char *directory);

#endif
