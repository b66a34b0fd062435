/* One run while it lasts, as the thread of the front that guards it sees it. */
#ifndef EXTHOST_RUN_STATE_H
#define EXTHOST_RUN_STATE_H

#include "ipc/escalation.h"
#include "run/stderr_log.h"
#include "ipc/process_handle.h"

#include <stdbool.h>
#include <stdint.h>

struct app_pool;
struct exchange;
struct log;
struct module_usage;
struct scripts;
struct spares;
struct stats;

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

/* What has become of the process that runs it. */
enum run_state {
	RUN_STATE_GOING,  /* it has not told of an end */
	RUN_STATE_OVER,   /* a request process has ended, or an app worker ends with this request */
	RUN_STATE_DEAD,   /* nothing more will come from the process */
	RUN_STATE_UNREAD, /* dead, and it had not taken its order: another process can run it */
	RUN_STATE_UNSENT, /* the order could not even be given to it: likewise */
	RUN_STATE_ALIVE,  /* an app worker, which goes on after this request; */
	RUN_STATE_RETIRES, /* or takes no other, */
	RUN_STATE_STALE    /* or has not begun it, as the app's files have changed */
};

struct run {
	const struct run_shared *shared;
	struct exchange *x;
	enum run_state state;
	struct process_handle process;
	struct escalation end;
	struct stderr_log errors;
	uint64_t began; /* clock_now() */
	int notices;    /* of processes it starts; -1: they are not limited */
	uint64_t processes_left;
	short client_events; /* what is still of interest on the connection */
	uint64_t listen_at;  /* until then its output stays in the pipe; 0: that is over */
	uint64_t answer_at;  /* the output is closed: when to answer; 0: it is not */
	int32_t settle; /* RUN_STATE_STALE: milliseconds until the app's files have come to rest */
	bool app;       /* an app worker answers it, and goes on after it */
	bool left;      /* the client has gone, and has its whole reply: cgi_reply_is_sent */
	bool no_memory; /* the process has told that it got none */
};

#endif
