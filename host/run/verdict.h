/* The verdict on a run or a request to an app worker, from the report of its end. */
#ifndef EXTHOST_VERDICT_H
#define EXTHOST_VERDICT_H

#include "run/run_state.h"

struct run_report;

/* RUN_ENDED or RUN_DIED: the run is over, and has failed unless its exit status is 0. */
void verdict_take_end(struct run *run, const struct run_report *report);

/* RUN_ANSWERED: the request is over; the app worker may go on. */
void verdict_take_answer(struct run *run, const struct run_report *report);

#endif
