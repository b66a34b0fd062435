/* The index of installed packages. */
#ifndef EXTHOST_TCL_INDEX_H
#define EXTHOST_TCL_INDEX_H

#include "interpreter/tcl_include.h"

#include <stdbool.h>

struct tcl_index {
	Tcl_CmdInfo package; /* the command `package` itself; set before all else */
	Tcl_Obj *scanned;    /* dictionary: directory whose index was read, to its time of change */
	Tcl_Obj *installed;  /* dictionary: list of name and version, to the script that loads it */
	Tcl_Obj *modules;    /* the module path at the start */
	Tcl_Obj *versions;   /* dictionary: name, to version, to script; NULL: not shared yet */
	bool looked;         /* the script's own directories have been read */
	bool shared;         /* this index is a copy of another interpreter's */
	bool has_reader;     /* the command TCL_INDEX_READER exists */
};

/* The name under which Tcl's own tclPkgUnknown is kept. */
#define TCL_INDEX_READER "::tcl::PkgUnknownRead"

/* Read the index of every directory on auto_path, and leave auto_path as it was. */
int tcl_index_start(struct tcl_index *index, Tcl_Interp *interp);

/*
 * At a script's first `package require`, with the words after it (without -exact): read the
 * directories that the script has put on auto_path and on the module path, as tclsh would at that
 * moment.
 */
void tcl_index_first_look(
    struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);

/* The Tcl command `tclPkgUnknown NAME ?REQUIREMENT...?`; data is a struct tcl_index. */
int tcl_index_unknown(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);

#endif
