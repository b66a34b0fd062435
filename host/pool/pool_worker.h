/* One app worker, and what the pool does with it. With the pool's lock held. */
#ifndef EXTHOST_POOL_WORKER_H
#define EXTHOST_POOL_WORKER_H

#include "ipc/escalation.h"
#include "ipc/process_handle.h"
#include "run/stderr_log.h"
#include "worker/app_files.h"

#include <stdbool.h>
#include <stdint.h>

struct app;
struct app_pool;
struct scoreboard_slot;

enum app_state {
	APP_LOADS, /* since `since`, and until its deadline */
	APP_IDLE,
	APP_BUSY,   /* a guard has it, and its descriptors */
	APP_SERVES, /* sockets of its own */
	APP_LEAVES  /* it has orders to end, or has reported that it ends */
};

struct app_worker_entry {
	struct app_worker_entry *next;
	struct app *app;
	uint64_t id;
	struct process_handle process; /* without an output */
	int notices;                   /* notifications of process starts, or -1 */
	enum app_state state;
	uint64_t since;      /* clock_now() when the state began */
	unsigned version;    /* the version that was present when the worker was started */
	unsigned accepted;   /* the version whose files it takes for unchanged */
	int64_t began;       /* CLOCK_REALTIME when it was started, nanoseconds */
	bool stale;          /* it serves, has found its files changed, and waits for an order */
	bool died;           /* its template or guardian has reported its death */
	int32_t wait_status; /* if it died: as of waitpid(2) */
	struct scoreboard_slot *slot; /* of a direct worker; else NULL */
	char request[17];             /* the id of the request whose messages are being logged */
	struct app_files files;       /* while it loads: the files reported so far */
	struct escalation end;
	struct stderr_log errors;
};

/* The watched descriptors of a worker. An event's number is w->id * WORKER_DESCRIPTORS + kind. */
enum worker_descriptor { WORKER_CHANNEL, WORKER_ERRORS, WORKER_NOTICES, WORKER_DESCRIPTORS };

int *worker_descriptor(struct app_worker_entry *w, int kind);

/* The worker's state begins now. */
void worker_enter(struct app_worker_entry *w, enum app_state state);

/* Watch this worker from now on; or stop watching it, since a guard takes it. */
void worker_watch(struct app_pool *p, struct app_worker_entry *w);
void worker_unwatch(struct app_pool *p, struct app_worker_entry *w);

/* Have a watched worker end regularly. It is killed if it does not. */
void worker_dismiss(struct app_worker_entry *w);

/* Have a watched worker end at once, before it has loaded. */
void worker_give_up(struct app_worker_entry *w);

#endif
