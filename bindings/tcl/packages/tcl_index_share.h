/* One index for many interpreters. */
#ifndef EXTHOST_TCL_INDEX_SHARE_H
#define EXTHOST_TCL_INDEX_SHARE_H

#include "interpreter/tcl_include.h"

struct tcl_index;

/* Let the index of a new interpreter share what another has. index->package must be set. */
void tcl_index_share(struct tcl_index *index, Tcl_Interp *interp, struct tcl_index *from);

/* Release what a shared index refers to. */
void tcl_index_release(struct tcl_index *index);

#endif
