/* One run of a script, as the front sees it: hand over, guard, and say how it ended. */
#ifndef EXTHOST_RUN_H
#define EXTHOST_RUN_H

#include "run/run_state.h"

/*
 * Run the script that the route found, feeding its output to the reply, its standard error to the
 * log, line by line, until it has ended and nothing of it is left. How it ended is x->outcome.
 */
void run_script(const struct run_shared *shared, struct exchange *x);

#endif
