/*
 * Apps on the front's side: which there are, and the app workers of each. Shared by app_pool.c (whose
 * turn is it), app_start.c (how one begins) and app_watch.c (those that serve no request), and by
 * nobody else.
 */
#ifndef EXTHOST_APP_H
#define EXTHOST_APP_H

#include "buffer.h"
#include "config.h"
#include "request_process.h"
#include "run_end.h"
#include "run_errors.h"
#include "script.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct app_pool_setup;

enum app_state {
	APP_LOADS, /* since `since`, and until its deadline */
	APP_IDLE,
	APP_BUSY,  /* a guard has it, and its descriptors */
	APP_LEAVES /* it was told to, or has said that it does */
};

struct app_worker_entry {
	struct app_worker_entry *next;
	struct app *app;
	uint64_t id;
	struct request_process process; /* without an output */
	int notices;                    /* of processes it starts, or -1 */
	enum app_state state;
	uint64_t since;      /* request_clock() */
	unsigned generation; /* of the app's files, as they were when it was started, */
	unsigned accepted;   /* and a later one that it serves on beside, as that does not load */
	struct run_end end;
	struct run_errors errors;
};

/* How the app was to be run when it was asked for last. */
struct app_settings {
	int language;
	bool rerun, debug, strict;
	struct limits limits;
	char *path, *venv; /* "" is none */
};

struct app {
	struct app *next;
	char *name; /* beneath the extension root */
	struct app_settings settings;
	struct app_worker_entry *workers;
	unsigned generation; /* counts up when its files have changed, */
	unsigned refused;    /* the one that does not load; 0: none, */
	uint64_t retry_at;   /* and when to try it again; request_clock() */
	unsigned failures;   /* of loading, ever */
	size_t starting;     /* workers that are being started and are in no list yet */
	size_t waiting;      /* requests */
	pthread_cond_t changed;
	char error[256];      /* why the last load failed; "": it did not, */
	struct buffer output; /* what it wrote then, */
	int64_t error_time;   /* and when; seconds since 1970 */
	uint64_t loads;       /* that went well */
};

struct app_pool {
	const struct app_pool_setup *setup;
	pthread_mutex_t lock;
	struct app *apps;
	uint64_t last_id;
	int epoll; /* of what app_watch.c watches */
	bool started, stopping;
};

/*
 * Start a worker for the app: a spare is taken and told to load. With the lock held, and given away
 * meanwhile. Whether it loads is told later, to app_watch.c; if it cannot even be started the app's
 * failures are counted up here.
 */
void app_start(struct app_pool *p, struct app *a);

/* The same in a thread of its own, for who must not wait. The lock is held throughout. */
void app_start_ahead(struct app_pool *p, struct app *a);

/* It did not load. With the lock held. */
void app_refuse(struct app_pool *p, struct app *a, unsigned generation, const char *reason);

/* Watch this worker from now on, or no more, as a guard has it. With the lock held. */
void app_watch(struct app_pool *p, struct app_worker_entry *w);
void app_unwatch(struct app_pool *p, struct app_worker_entry *w);

/* Start the thread that watches. 0 or -1. */
int app_watch_start(struct app_pool *p);

/* The state begins now. */
void app_enter(struct app_worker_entry *w, enum app_state state);

/* Have it end, regularly; if it does not it is killed. Watched already, with the lock held. */
void app_dismiss(struct app_worker_entry *w);

/* Forget one that has died or is given up, and start another if too few are left. Lock held. */
void app_remove(struct app_pool *p, struct app_worker_entry *w);

/* Workers of this generation, or about to be. */
size_t app_count(const struct app *a);

#endif
