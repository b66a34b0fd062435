/* What the kernel tells of a process: its memory, and how it has ended. */
#ifndef EXTHOST_PROCESS_H
#define EXTHOST_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_memory {
	uint64_t resident; /* bytes in memory, shared pages among them */
	uint64_t data;     /* bytes of data and stack: what RLIMIT_DATA counts */
};

/* Of a process, 0: the caller's own. 0, or -1 with errno: it is gone, or there is no /proc. */
int process_memory(pid_t pid, struct process_memory *memory);

/* Enough for the texts of the two functions below. */
#define PROCESS_END_SIZE 64

/* "exit status 1" or "signal 9 (Killed)", of a status of waitpid(2). */
void process_describe_end(char *text, size_t size, int wait_status);

/* The same for a reason that is logged: "exit status 1" or "ended by signal 9 (Killed)". */
void process_describe_death(char *text, size_t size, int wait_status);

#endif
