/* One run while it lasts: a thread of the front guards it. */
#ifndef EXTHOST_GUARD_H
#define EXTHOST_GUARD_H

#include "request_process.h"
#include "run_end.h"
#include "run_errors.h"

#include <stdbool.h>
#include <stdint.h>

struct limits;
struct log;
struct noticed;
struct reply;
struct request;
struct route;
struct scripts;
struct spares;
struct stats;
struct stats_entry;

/* What runs share. */
struct run_shared {
	const char *root;
	struct spares *spares;
	struct scripts *scripts;
	struct noticed *noticed; /* modules that scripts load; may be NULL */
	struct stats *stats;     /* may be NULL */
	const struct log *log;
};

/* How a run ended; a word for the log and for status. */
enum run_why {
	RUN_EXITED,    /* by itself */
	RUN_SIGNALLED, /* it crashed */
	RUN_TIMEOUT,
	RUN_CPU,
	RUN_MEMORY,
	RUN_REPLY,   /* what it wrote is no reply */
	RUN_CLIENT,  /* the client went away */
	RUN_ABORTED, /* the client said so */
	RUN_HOST     /* the host could not run it */
};

struct run_result {
	bool whole;           /* the script ended well: what it wrote is a reply */
	bool answered;        /* before its end: the reply has been finished already */
	bool refused_process; /* it wanted more than it may start */
	enum run_why why;
	int status;           /* if it is not whole: the HTTP status of the failure */
	char reason[256];     /* and why, for the log */
	struct buffer errors; /* the end of what it wrote to standard error; the caller's to free */
	uint64_t time;        /* nanoseconds */
	uint64_t cpu;         /* microseconds */
	uint64_t peak;        /* the most memory, KiB */
};

/* What is to be run. */
struct run_job {
	struct request *request; /* its variables are complete */
	const struct route *route;
	const struct limits *limits;
	int language;
	int code;                  /* kept code, or -1 */
	struct stats_entry *entry; /* of the run, in the stats; may be NULL */
};

/* "exit", "signal", "timeout" ... */
const char *run_why_name(enum run_why why);

struct run {
	const struct run_shared *shared;
	struct request *request;
	const struct route *route;
	const struct limits *limits;
	int language;
	struct stats_entry *entry;
	struct reply *reply;
	struct run_result *result;
	struct request_process process;
	struct run_end end;
	struct run_errors errors;
	int notices; /* of processes it starts; -1: they are not limited */
	uint64_t processes_left;
	short client_events; /* what is still of interest on the connection */
	uint64_t answer_at;  /* the output is closed: when to answer; 0: not */
	bool ended;          /* the channel has told it, or broke */
	bool untouched;      /* the process died before it took its order: another can run it */
	bool failed;
	bool no_memory;
};

/*
 * Watch the run from the hand-over to its end, and see to it that it ends. Then run->result is
 * filled, but for what is known of the time.
 */
void guard_run(struct run *run);

/* The run fails for this reason, if for no earlier one. */
void guard_fail(struct run *run, enum run_why why, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
