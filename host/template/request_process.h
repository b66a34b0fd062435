/*
 * A request process: forked from the template ahead of its request, it waits for one order, follows
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

/* How to make a request process. */
struct request_process_setup {
	const struct binding *binding;
	bool warm; /* touch the memory that a run will write before the order comes */
	/* Called for an order to load an app (app_worker_main). */
	void (*load)(const struct binding *binding, struct binding_run *run,
	    const struct run_order *order) __attribute__((noreturn));
};

/*
 * In the template: fork a request process with the binding's fork. Does not return in the child. In
 * the parent the ends stay the caller's. The process id, or -1 with *e filled.
 */
pid_t request_process_fork(
    const struct request_process_setup *setup, const struct process_ends *ends, struct error *e);

#endif
