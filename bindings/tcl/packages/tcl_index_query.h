/* Questions to `package` and to the index. Each leaves the interpreter without a result. */
#ifndef EXTHOST_TCL_INDEX_QUERY_H
#define EXTHOST_TCL_INDEX_QUERY_H

#include "interpreter/tcl_include.h"

#include <stdbool.h>

struct tcl_index;

/* The answer to `package VERB ?NAME? ?VERSION?`: a new reference; an empty word after an error. */
Tcl_Obj *tcl_index_ask(const struct tcl_index *index, Tcl_Interp *interp, const char *verb,
    const char *name, const char *version);

/* A new dictionary of the provided packages, name to version, owned by the caller. */
Tcl_Obj *tcl_index_provided(const struct tcl_index *index, Tcl_Interp *interp);

/* True if some version of the package is provided. */
bool tcl_index_is_provided(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name);

/* True if the provided version is one of the template's index, and was loaded as the index says. */
bool tcl_index_is_installed(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name);

/*
 * True if `package require`, with these words after it, would load the very version that is
 * provided already. False if the script brings its own copy of the same version.
 */
bool tcl_index_stands(const struct tcl_index *index, Tcl_Interp *interp, int count,
    Tcl_Obj *const words[], Tcl_Obj *name);

/* Make Tcl forget that the package is provided, but not how its versions are loaded. */
void tcl_index_forget(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name);

/* The script that loads a package: a new reference, or NULL if there is none. */
Tcl_Obj *tcl_index_script(const struct tcl_index *index, Tcl_Interp *interp, const char *name);

#endif
