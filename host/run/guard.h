/* A thread of the front guards a run while it lasts. */
#ifndef EXTHOST_GUARD_H
#define EXTHOST_GUARD_H

#include "run/run_state.h"

/* Before anything is handed over: all that is known of the run. */
void guard_begin(struct run *run, const struct run_shared *shared, struct exchange *x);

/* After the last try: what is left of its errors is told, and the outcome is complete. */
void guard_finish(struct run *run);

/*
 * Watch the run from the hand-over to its end, and see to it that it ends. Then run->state tells what
 * has become of the process, and the exchange's outcome is filled, but for what is known of the time.
 */
void guard_run(struct run *run);

#endif
