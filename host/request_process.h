/*
 * A request process: forked from the template ahead of its request, it waits for one order, runs
 * it and ends.
 */
#ifndef EXTHOST_REQUEST_PROCESS_H
#define EXTHOST_REQUEST_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct binding;
struct binding_run;
struct error;
struct run_order;

/* What the front needs of a request process; the template sends it with the three descriptors. */
struct request_process {
	pid_t pid;
	int channel; /* run_channel.h */
	int output;  /* read end of its standard output */
	int errors;  /* read end of its standard error */
	int handle;  /* pidfd */
};

/* How one is to be made. */
struct request_process_setup {
	const struct binding *binding;
	bool warm; /* it shall touch ahead the memory that a run will write */
	/* What it does when it is told to load an app (app_worker_main). */
	void (*load)(const struct binding *binding, struct binding_run *run,
	    const struct run_order *order) __attribute__((noreturn));
};

/*
 * In the template: make the pipes and the channel, and fork with the binding's fork. In the child this
 * does not return, and if told to it warms its memory before it waits for its order. In the parent *p is for the front (the descriptors are the caller's to send and
 * close), and *channel is the child's end, kept to report its death. 0, or -1 with *e filled.
 */
int request_process_fork(const struct request_process_setup *setup, struct request_process *p,
    int *channel, struct error *e);

#endif
