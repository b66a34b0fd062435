/* One request to an app, as the front sees it: take a worker, hand over, guard, give back. */
#ifndef EXTHOST_APP_RUN_H
#define EXTHOST_APP_RUN_H

#include "run/run_state.h"

/* As run_script, with a worker of the app that the route found. */
void app_run(const struct run_shared *shared, struct exchange *x);

#endif
