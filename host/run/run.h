/* A CGI run as the front sees it: hand the request over, guard the run, report its end. */
#ifndef EXTHOST_RUN_H
#define EXTHOST_RUN_H

#include "run/run_state.h"

/*
 * Run the script that the route found, in a request process, until the run has ended. Its output
 * goes to x->reply, its standard error line by line to the log, and how it ended to x->outcome.
 */
void run_script(const struct run_shared *shared, struct exchange *x);

#endif
