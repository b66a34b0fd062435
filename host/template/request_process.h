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

/* What the front holds of a request process. */
struct request_process {
	pid_t pid;   /* until it is forked -1 */
	int channel; /* run_channel.h */
	int output;  /* read end of its standard output */
	int errors;  /* read end of its standard error */
	int handle;  /* pidfd, or -1 */
};

enum { REQUEST_PROCESS_ENDS = 3 };

/* And what it has itself: the other ends of these three, in this order. */
struct request_process_ends {
	int channel, output, errors;
};

/* How one is to be made. */
struct request_process_setup {
	const struct binding *binding;
	bool warm; /* it shall touch ahead the memory that a run will write */
	/* What it does when it is told to load an app (app_worker_main). */
	void (*load)(const struct binding *binding, struct binding_run *run,
	    const struct run_order *order) __attribute__((noreturn));
};

/* In the front: make the channel and the pipes of one that is to be forked. 0, or -1 with *e filled. */
int request_process_open(
    struct request_process *p, struct request_process_ends *ends, struct error *e);

/* Close the descriptors of either. */
void request_process_release(struct request_process *p);
void request_process_close_ends(struct request_process_ends *ends);

/*
 * In the template: fork one with the binding's fork. In the child this does not return, and if told
 * to it warms its memory before it waits for its order. In the parent the ends stay the caller's.
 * The process id, or -1 with *e filled.
 */
pid_t request_process_fork(const struct request_process_setup *setup,
    const struct request_process_ends *ends, struct error *e);

#endif
