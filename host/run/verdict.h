/* What an end, of a run or of a request to an app worker, says of it. */
#ifndef EXTHOST_VERDICT_H
#define EXTHOST_VERDICT_H

#include "run/run_state.h"

struct run_report;

/* RUN_ENDED or RUN_DIED: the run is at its end, and failed unless it ended well. */
void verdict_take_end(struct run *run, const struct run_report *report);

/* RUN_ANSWERED: the request is at its end; the app worker goes on. */
void verdict_take_answer(struct run *run, const struct run_report *report);

#endif
