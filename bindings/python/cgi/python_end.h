/* The end of a run. */
#ifndef EXTHOST_PYTHON_END_H
#define EXTHOST_PYTHON_END_H

#include <stdbool.h>
#include <sys/types.h>

struct binding_run;

/* Look up what an end needs. Returns 0 or -1. */
int python_end_start(void);

/*
 * Do what python3 does between the last statement of a script and the end of its process, then call
 * binding_end. runner: the process that the host asked for the run. In any other process, which the
 * script has forked, nothing is reported to the host.
 */
void python_end(struct binding_run *run, pid_t runner, int status) __attribute__((noreturn));

/*
 * The first half of python_end, for a process that goes on: wait for threads, run exit handlers,
 * flush output. Returns status, or 120 if sys.stdout could not be flushed.
 */
int python_end_script(int status);

/*
 * As python_end, before the host ends an app worker. Threads and exit handlers get a few seconds.
 */
void python_end_app(void);

/* True if Python knows of another thread than this one. */
bool python_end_has_threads(void);

#endif
