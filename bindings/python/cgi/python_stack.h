/* The stack of a running script, for the host's log. */
#ifndef EXTHOST_PYTHON_STACK_H
#define EXTHOST_PYTHON_STACK_H

#include <stdbool.h>

struct binding_run;

/* struct binding: stack. */
bool python_stack(struct binding_run *run, int file);

#endif
