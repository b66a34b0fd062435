/* The setting tcl-path. */
#ifndef EXTHOST_TCL_PATH_H
#define EXTHOST_TCL_PATH_H

#include "interpreter/tcl_include.h"

/*
 * Let `package require` search these directories (separated by ':'; NULL: none) before all others:
 * for packages with an index, modules, and plain scripts that provide a package.
 */
void tcl_path_add(Tcl_Interp *interp, const char *directories);

#endif
