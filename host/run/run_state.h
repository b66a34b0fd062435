/* The state of one run, as the thread of the front that guards it sees it. */
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

/* Shared by all runs. */
struct run_shared {
	const char *root;
	struct spares *spares;
	struct app_pool *apps;
	struct scripts *scripts;
	struct module_usage *noticed; /* modules that scripts load; may be NULL */
	struct stats *stats;          /* may be NULL */
	const struct log *log;
};

/* What became of the process of a run. */
enum run_state {
	RUN_STATE_GOING, /* no end was reported */
	/* A request process has ended, or an app worker exits after this request. */
	RUN_STATE_OVER,
	RUN_STATE_DEAD,    /* the process is dead */
	RUN_STATE_UNREAD,  /* dead before it read its order: another process can run the request */
	RUN_STATE_UNSENT,  /* the order could not be sent: another process can run the request */
	RUN_STATE_ALIVE,   /* an app worker that can answer the next request */
	RUN_STATE_RETIRES, /* an app worker that answers no other request */
	/* An app worker that did not begin the request: the app's files have changed. */
	RUN_STATE_STALE
};

struct run {
	const struct run_shared *shared;
	struct exchange *x;
	enum run_state state;
	struct process_handle process;
	struct escalation end;
	struct stderr_log errors;
	uint64_t began; /* clock_now() */
	int notices;    /* notifications of process starts (seccomp_unotify(2)); -1: not limited */
	uint64_t processes_left;
	short client_events; /* poll(2) events of interest on the client's connection */
	uint64_t listen_at;  /* the output is not read before this clock_now(); 0: it is read */
	uint64_t answer_at;  /* the output is closed: answer at this clock_now(); 0: do not */
	/* With RUN_STATE_STALE: app_files_settle() of the app's files, in milliseconds. */
	int32_t settle;
	bool app;       /* an app worker answers the request */
	bool left;      /* the client left after its whole reply was sent (cgi_reply_is_sent) */
	bool no_memory; /* the process reported that it is out of memory */
};

#endif
