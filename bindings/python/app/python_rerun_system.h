/* Rerun: the state of the interpreter, besides the modules that are loaded. */
#ifndef EXTHOST_PYTHON_RERUN_SYSTEM_H
#define EXTHOST_PYTHON_RERUN_SYSTEM_H

#include <stdbool.h>

/* Remember sys, builtins and settings. Returns 0 or -1. */
int rerun_system_keep(void);

/*
 * Before a run: set sys.path and the standard files as python3 has them at its start. Returns 0 or
 * -1.
 */
int rerun_system_begin(void);

/*
 * After a run: restore sys, builtins and settings. had_body: the request had a body, so standard
 * input must be replaced. Leaves no exception pending.
 */
void rerun_system_restore(bool had_body);

#endif
