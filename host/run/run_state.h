/* One run while it lasts, as the thread of the front that guards it sees it. */
#ifndef EXTHOST_RUN_STATE_H
#define EXTHOST_RUN_STATE_H

#include "ipc/escalation.h"
#include "run/stderr_log.h"
#include "template/request_process.h"

#include <stdbool.h>
#include <stdint.h>

struct app_pool;
struct limits;
struct log;
struct extension_settings;
struct module_usage;
struct cgi_reply;
struct request;
struct route;
struct script_found;
struct scripts;
struct spares;
struct stats;
struct stats_entry;

/* What runs share. */
struct run_shared {
	const char *root;
	struct spares *spares;
	struct app_pool *apps;
	struct scripts *scripts;
	struct module_usage *noticed; /* modules that scripts load; may be NULL */
	struct stats *stats;          /* may be NULL */
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
	const struct extension_settings *extension;
	const struct script_found *found;
	bool debug;
	struct stats_entry *entry; /* of the run, in the stats; may be NULL */
};

struct run {
	const struct run_shared *shared;
	struct request *request;
	const struct route *route;
	const struct limits *limits;
	int language;
	struct stats_entry *entry;
	struct cgi_reply *reply;
	struct run_result *result;
	struct request_process process;
	struct escalation end;
	struct stderr_log errors;
	uint64_t began; /* clock_now() */
	int notices;    /* of processes it starts; -1: they are not limited */
	uint64_t processes_left;
	short client_events; /* what is still of interest on the connection */
	uint64_t listen_at;  /* until then its output stays in the pipe; 0: that is over */
	uint64_t answer_at;  /* the output is closed: when to answer; 0: not */
	bool ended;          /* the channel has told it, or broke */
	bool order_unread;   /* the process died before it took its order: another can run it */
	bool app;            /* it is a request to an app worker, */
	bool alive;          /* which goes on after it, */
	bool retires;        /* but takes no other, */
	bool stale;          /* or has not begun this one, as the app's files have changed */
	int32_t settle;      /* then: milliseconds until they have come to rest */
	bool dead;           /* nothing more will come from the process */
	bool left;           /* the client has gone, and has its whole reply: cgi_reply_is_sent */
	bool failed;
	bool no_memory;
};

#endif
