/* ::env, and what Tcl derives from the environment only once. */
#ifndef EXTHOST_TCL_ENVIRONMENT_H
#define EXTHOST_TCL_ENVIRONMENT_H

#include "interpreter/tcl_include.h"

#include <stdbool.h>

/*
 * Replace environ(7) by an environment with no variable of the host's, and UTF-8 as its locale.
 * Returns the old environment, or NULL if there is no memory.
 */
char **tcl_environment_lend(void);

/* Restore the old environment. old may be NULL. */
void tcl_environment_return(char **old);

/* True if the environment names a locale for messages other than C. */
bool tcl_environment_has_locale(void);

/* environ(7) was replaced: update ::env and the locale of messages. */
void tcl_environment_follow(Tcl_Interp *interp);

/*
 * Make the environment a copy of this one, and update ::env at the cost of what differs. Returns 0,
 * or -1 if there is no memory.
 */
int tcl_environment_replace(Tcl_Interp *interp, char *const *environment);

/* Make the environment this very array. Afterwards the interpreter's ::env must not be used. */
void tcl_environment_leave(Tcl_Interp *interp, char **environment);

#endif
