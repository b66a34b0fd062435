/* The process of a service: how it is started, what it writes, and the process group it leaves. */
#ifndef EXTHOST_SERVICE_PROCESS_H
#define EXTHOST_SERVICE_PROCESS_H

#include "base/buffer.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child;
struct log;

struct service_process {
	const char *name;    /* of the service, in the log */
	const char *program; /* path of the file that is executed */
	char **argv;         /* arguments of the program */
	/* Variables "NAME=VALUE" beside those of the host's environment. */
	struct config_list environment;
	pid_t group;        /* process group of the service; 0: no process is left in it */
	int output;         /* read end of the pipe that the service writes to; -1: none */
	struct buffer line; /* output after the last line feed */
};

/*
 * Start the program, as this child, in a process group of its own. The new process calls `in_child`
 * with `argument` first, to close what belongs to the master alone. 0, or -1 as child_fail().
 */
int service_process_start(struct service_process *p, struct child *child,
    void (*in_child)(void *argument), void *argument);

/* Log the lines that have come. `all`: nothing more comes, so that the rest is a line as well. */
void service_process_log(struct service_process *p, const struct log *log, bool all);

/* Reap what has ended in the process group. true: no process is left in it. */
bool service_process_is_gone(struct service_process *p);

/* Close and free; the processes are not touched. */
void service_process_release(struct service_process *p);

#endif
