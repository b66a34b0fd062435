/* The process of a service, and what it writes. */
#ifndef EXTHOST_SERVICE_PROCESS_H
#define EXTHOST_SERVICE_PROCESS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct log;

struct service_process {
	const char *name;
	const char *program; /* what is executed, */
	char **argv;         /* and its arguments */
	pid_t pid;           /* 0: it does not run */
	pid_t group;         /* of it, and of what it has started; 0: nobody is left of it */
	int output;          /* -1: there is none */
	struct buffer line;  /* of its output, while it is not complete */
};

/*
 * Start it, in a process group of its own. In the child, `in_child` is called with `argument`, to
 * close what is not for it. 0, or -1 after a line in the log.
 */
int service_process_start(struct service_process *p, const struct log *log,
    void (*in_child)(void *argument), void *argument);

/* Log the lines that have come; when it has ended (`all`), also one that is not complete. */
void service_process_log(struct service_process *p, const struct log *log, bool all);

/* Whether nobody is left of its process group; those that have ended are reaped. */
bool service_process_is_gone(struct service_process *p);

/* Close and free; the process is not touched. */
void service_process_release(struct service_process *p);

#endif
