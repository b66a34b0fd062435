/* How a run ended, and whether it failed. */
#ifndef EXTHOST_VERDICT_H
#define EXTHOST_VERDICT_H

#include "run/run_state.h"

struct run_report;

/* RUN_ENDED or RUN_DIED: the run is at its end, and failed unless it ended well. */
void verdict_take_end(struct run *run, const struct run_report *report);

/* RUN_ANSWERED: the request is at its end; the app worker goes on. */
void verdict_take_answer(struct run *run, const struct run_report *report);

/* The run fails for this reason, if for no earlier one. */
void verdict_fail(struct run *run, enum run_why why, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "exit", "signal", "timeout" ... */
const char *run_why_name(enum run_why why);

#endif
