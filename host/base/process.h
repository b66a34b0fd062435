/* A process as the kernel sees it: its memory, and how it ended. */
#ifndef EXTHOST_PROCESS_H
#define EXTHOST_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_memory {
	uint64_t resident; /* bytes in memory, including shared pages */
	uint64_t data;     /* bytes of data and stack, as RLIMIT_DATA counts them */
};

/* Memory of a process (0: the caller). 0, or -1 with errno: it is gone, or there is no /proc. */
int process_memory(pid_t pid, struct process_memory *memory);

/* The size of a text of the two functions below. */
#define PROCESS_END_SIZE 64

/* How a process ended, by its status of waitpid(2): "exit status 1" or "signal 9 (Killed)". */
void process_describe_end(char *text, size_t size, int wait_status);

/* The same as a reason for the log: "exit status 1" or "ended by signal 9 (Killed)". */
void process_describe_death(char *text, size_t size, int wait_status);

#endif
