/* The stack of a running script, for the host's log. */
#ifndef EXTHOST_TCL_STACK_H
#define EXTHOST_TCL_STACK_H

#include "interpreter/tcl_include.h"

#include <stdbool.h>

struct binding_run;

/* Once, in the template: prepare to write the stack of this interpreter. */
void tcl_stack_start(Tcl_Interp *interp);

/* From now on write the stack of this interpreter instead. */
void tcl_stack_move(Tcl_Interp *interp);

/* struct binding: stack. */
bool tcl_stack(struct binding_run *run, int file);

#endif
