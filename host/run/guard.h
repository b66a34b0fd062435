/* A thread of the front guards a run while it lasts. */
#ifndef EXTHOST_GUARD_H
#define EXTHOST_GUARD_H

#include "run/run_state.h"

/* Before anything is handed over: all that is known of the run, and an empty *result. */
void guard_begin(struct run *run, const struct run_shared *shared, const struct run_job *job,
    struct cgi_reply *reply, struct run_result *result);

/* After the last try: what is left of its errors is told, and the result is complete. */
void guard_finish(struct run *run);

/*
 * Watch the run from the hand-over to its end, and see to it that it ends. Then run->result is
 * filled, but for what is known of the time.
 */
void guard_run(struct run *run);

#endif
