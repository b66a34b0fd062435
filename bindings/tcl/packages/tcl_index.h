/*
 * The index of installed packages, and questions to it. What is asked of Tcl here leaves the
 * interpreter without a result.
 */
#ifndef EXTHOST_TCL_INDEX_H
#define EXTHOST_TCL_INDEX_H

#include <stdbool.h>

#include "interpreter/tcl_internal.h"

struct tcl_index {
	Tcl_CmdInfo package; /* the command itself; set before all else */
	Tcl_Obj *scanned;    /* a dictionary; its keys are the folders whose index was read */
	Tcl_Obj *installed;  /* a dictionary, "name version" (a list) to the script that loads it */
	Tcl_Obj *modules;    /* the path of modules */
	bool looked;         /* the script's own folders have been read once */
	Tcl_Obj
	    *versions;   /* what is installed, name to version to script; NULL until it is shared */
	bool shared;     /* it is another interpreter's */
	bool has_reader; /* TCL_INDEX_READER is there */
};

/* Read the index of every folder on auto_path, which is as before afterwards. */
int tcl_index_start(struct tcl_index *index, Tcl_Interp *interp);

/* Have what another index has, in a new interpreter. index->package is set. */
void tcl_index_share(struct tcl_index *index, Tcl_Interp *interp, struct tcl_index *from);

/* Release what a shared index has. */
void tcl_index_release(struct tcl_index *index);

/*
 * At the first `package require` of a script, with the words behind it but for -exact: read what
 * the script has put on auto_path and on the path of modules, as tclsh would at that moment.
 */
void tcl_index_first_look(
    struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);

/* `tclPkgUnknown NAME ?REQUIREMENT...?`, a command for Tcl; data is a struct tcl_index. */
int tcl_index_unknown(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);

/* What Tcl's own tclPkgUnknown is called. */
#define TCL_INDEX_READER "::tcl::PkgUnknownRead"

/* Of an index that is shared: declare what it has of this name to `package`. */
void tcl_index_declare(struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name);

/* See to it that the reader is there. */
void tcl_index_need_reader(struct tcl_index *index, Tcl_Interp *interp);

/* A new dictionary of the provided packages, name to version, owned by the caller. */
Tcl_Obj *tcl_index_provided(const struct tcl_index *index, Tcl_Interp *interp);

bool tcl_index_is_provided(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name);

/*
 * Would `package require`, with these words behind it, find the very version that is provided
 * already, if nothing were? If a script brings a copy of the same version, its copy is meant.
 */
bool tcl_index_stands(const struct tcl_index *index, Tcl_Interp *interp, int count,
    Tcl_Obj *const words[], Tcl_Obj *name);

/* Make Tcl forget that the package is provided, but not how its versions are loaded. */
void tcl_index_forget(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name);

/* Is the provided version one that the template's index names, loaded as it says? */
bool tcl_index_is_installed(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name);

/* The script that loads a package; a new reference, or NULL: it is not known. */
Tcl_Obj *tcl_index_script(const struct tcl_index *index, Tcl_Interp *interp, const char *name);

#endif
