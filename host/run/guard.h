/* Guarding a run: a thread of the front watches it from the hand-over to its end. */
#ifndef EXTHOST_GUARD_H
#define EXTHOST_GUARD_H

#include "run/run_state.h"

/* Initialize the run, once, before anything is handed over. */
void guard_begin(struct run *run, const struct run_shared *shared, struct exchange *x);

/* After the last attempt: log the rest of its standard error and complete the outcome. */
void guard_finish(struct run *run);

/*
 * Watch the run from the hand-over to its end, and enforce that end. Afterwards run->state tells
 * what became of the process, and the exchange's outcome is filled, except for its time.
 */
void guard_run(struct run *run);

#endif
