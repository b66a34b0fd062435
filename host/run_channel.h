/*
 * The socket between the front and one request process: the run goes down as packets, and what the
 * front must know comes back up. The template holds a copy of the lower end and says there how the
 * process died, so the front hears of every end whether the process could tell it or not.
 */
#ifndef EXTHOST_RUN_CHANNEL_H
#define EXTHOST_RUN_CHANNEL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The front's question to a request process: where is it? The answer is RUN_STACK. */
#define RUN_STACK_SIGNAL SIGRTMAX

/* What the process sets for itself before it runs the script. UINT64_MAX: no limit. */
struct run_limits {
	uint64_t memory;    /* bytes beyond what it has */
	uint64_t cpu;       /* seconds */
	uint64_t processes; /* that it may start */
};

/* What a request process is asked to do. On the way down the descriptors are passed. */
struct run_order {
	const char *script; /* absolute path */
	char **environment; /* NULL-terminated */
	int source;         /* the script, open for reading */
	int code;           /* kept code, or -1 */
	int body;           /* the request body at its beginning, or -1: empty */
	struct run_limits limits;
};

enum run_report_type {
	RUN_ENDED = 1, /* value: exit status; the process will not write any more */
	RUN_DIED,      /* value: wait status as of waitpid(2); the process is gone */
	RUN_CODE,      /* a descriptor: compiled code to keep */
	RUN_NOTICED,   /* text: the name of a module the script loaded */
	RUN_STACK, /* a descriptor: where the script is; value: SIGXCPU if that is why, else 0 */
	RUN_NO_MEMORY, /* the language got no memory: the run fails, if it fails, for that */
	RUN_PROCESSES  /* a descriptor, on which it is told when the script starts a process */
};

#define RUN_TEXT_MAX 256

struct run_report {
	uint32_t type;
	int32_t value;
	uint64_t
	    cpu; /* microseconds that the process and its children have used; with ENDED, DIED */
	uint64_t peak;           /* the most memory it had, in KiB; with ENDED and DIED */
	char text[RUN_TEXT_MAX]; /* NUL-terminated; only sent as far as it is used */
};

/* Front: send an order. 0, or -1 with errno (EPIPE: the process is gone; take another). */
int run_order_send(int channel, const struct run_order *order);

/*
 * Request process: wait for the order. 1 when it is there; 0 when the front closed the channel;
 * -1 with errno. The order's strings live in *memory, which the caller frees at its end.
 */
int run_order_receive(int channel, struct run_order *order, char **memory);

/* Request process and template: send a report, with a descriptor unless it is -1. 0 or -1. */
int run_report_send(
    int channel, enum run_report_type type, int32_t value, const char *text, int descriptor);

struct rusage;

/* The same for RUN_ENDED and RUN_DIED, with what the run has used. */
int run_report_end(
    int channel, enum run_report_type type, int32_t value, const struct rusage *usage);

/*
 * Front: take one report. 1, 0 when the channel is at its end, -1 with errno (EAGAIN: none yet).
 * *descriptor is what came with it, or -1, and the caller's to close.
 */
int run_report_receive(int channel, struct run_report *report, int *descriptor);

#endif
