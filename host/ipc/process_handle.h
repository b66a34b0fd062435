/* A request process or app worker as the front holds it, and the ends of its pipes that it gets. */
#ifndef EXTHOST_PROCESS_HANDLE_H
#define EXTHOST_PROCESS_HANDLE_H

#include <sys/types.h>

struct error;

/* The front's side. */
struct process_handle {
	pid_t pid;         /* -1 until the process is forked */
	int channel;       /* run_channel.h */
	int output;        /* read end of the process's standard output */
	int errors;        /* read end of its standard error */
	int handle;        /* pidfd, or -1 */
	unsigned template; /* which template of its language forked it: spares_template */
};

enum { PROCESS_ENDS = 3 };

/* The process's side: the other ends, in the order in which they are passed. */
struct process_ends {
	int channel, output, errors;
};

/* In the front: create the channel and the pipes of a process to be forked. 0, or -1 with *e. */
int process_handle_open(struct process_handle *p, struct process_ends *ends, struct error *e);

/* Close the descriptors of one side. */
void process_handle_release(struct process_handle *p);
void process_ends_close(struct process_ends *ends);

#endif
