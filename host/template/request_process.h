/*
 * A request process: forked from the template ahead of its request, it waits for one order, runs
 * it and ends.
 */
#ifndef EXTHOST_REQUEST_PROCESS_H
#define EXTHOST_REQUEST_PROCESS_H

#include "ipc/process_handle.h"

#include <stdbool.h>
#include <sys/types.h>

struct binding;
struct binding_run;
struct error;
struct run_order;

/* How one is to be made. */
struct request_process_setup {
	const struct binding *binding;
	bool warm; /* it shall touch ahead the memory that a run will write */
	/* What it does when it is told to load an app (app_worker_main). */
	void (*load)(const struct binding *binding, struct binding_run *run,
	    const struct run_order *order) __attribute__((noreturn));
};

/*
 * In the template: fork one with the binding's fork. In the child this does not return, and if told
 * to it warms its memory before it waits for its order. In the parent the ends stay the caller's.
 * The process id, or -1 with *e filled.
 */
pid_t request_process_fork(
    const struct request_process_setup *setup, const struct process_ends *ends, struct error *e);

#endif
