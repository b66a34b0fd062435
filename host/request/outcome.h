/* How a request ended, for its page, its log line and its counters. */
#ifndef EXTHOST_OUTCOME_H
#define EXTHOST_OUTCOME_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct response;

/* What brought a run to its end; a word for the log and for status. */
enum outcome_why {
	OUTCOME_EXITED,    /* it ended by itself */
	OUTCOME_SIGNALLED, /* it crashed */
	OUTCOME_TIMEOUT,
	OUTCOME_CPU,
	OUTCOME_MEMORY,
	OUTCOME_REPLY,   /* its output is no reply */
	OUTCOME_CLIENT,  /* the client went away */
	OUTCOME_ABORTED, /* the client sent ABORT_REQUEST */
	OUTCOME_HOST     /* the host could not run it */
};

struct outcome {
	bool ran;             /* a run began for the request: `why` and the figures are valid */
	bool whole;           /* the run went well: its output is a reply */
	bool answered;        /* the reply was finished before the end of the run */
	bool refused_process; /* the run wanted to start more processes than it may */
	enum outcome_why why;
	int status;           /* HTTP status of a failure */
	pid_t pid;            /* process that answered; 0: none began */
	char reason[512];     /* reason for the log; "": none */
	struct buffer errors; /* the end of the run's standard error */
	uint64_t time;        /* nanoseconds */
	uint64_t cpu;         /* microseconds */
	uint64_t peak;        /* the most memory, KiB; 0: not measured */
};

/* A run begins, and has not failed yet. */
void outcome_begin(struct outcome *o);

/* The run fails for this reason, if it has for no earlier one. */
void outcome_fail(struct outcome *o, enum outcome_why why, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The run fails because its client has left or, `aborted`, has sent ABORT_REQUEST. */
void outcome_fail_client(struct outcome *o, bool aborted);

/* The run fails because it took longer than this limit, in seconds. */
void outcome_fail_late(struct outcome *o, uint64_t timeout_s);

/*
 * If the client gave the reply up, took it too slowly or left, the run fails for that. `timeout_s`:
 * seconds that the reply had.
 */
void outcome_judge_client(struct outcome *o, const struct response *r, uint64_t timeout_s);

/* "exit", "signal", "timeout" ... */
const char *outcome_name(enum outcome_why why);

void outcome_release(struct outcome *o);

#endif
