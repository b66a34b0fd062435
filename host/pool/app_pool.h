/*
 * The pools of app workers, one for each app. A request takes a worker, waiting until a worker is
 * free or a new one has loaded, and gives it back. Safe to call from any thread.
 */
#ifndef EXTHOST_APP_POOL_H
#define EXTHOST_APP_POOL_H

#include "pool/pool_setup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app_pool;
struct app_worker_entry;
struct buffer;
struct config;
struct error;
struct process_handle;
struct listener;
struct exchange;

/* `setup` must outlive it. NULL: no memory. */
struct app_pool *app_pool_create(const struct app_pool_setup *setup);

/* A worker that was taken for a request. */
struct app_taken {
	struct app_worker_entry *worker;
	struct process_handle *process; /* its `output` is -1 */
	int *notices;                   /* notifications of process starts, or -1 */
	/*
	 * Answer although the app's files have changed: as they were at this time (CLOCK_REALTIME,
	 * nanoseconds) they do not load. 0: not so.
	 */
	int64_t accept;
};

/*
 * Take a worker for the app that the request is routed to. 0, or the HTTP status with *e: the app
 * does not load (what it wrote then is appended to *output), or no worker was free within the time
 * limit.
 */
int app_pool_take(struct app_pool *p, const struct exchange *x, struct app_taken *taken,
    struct buffer *output, struct error *e);

/* What became of a worker that was taken. */
enum app_fate {
	APP_FATE_ALIVE, /* it can answer the next request */
	APP_FATE_STALE, /* it can answer, but the app's files have changed */
	APP_FATE_ENDS,  /* it ends by itself */
	APP_FATE_DEAD
};

/* settle: with APP_FATE_STALE, app_files_settle() of the worker, milliseconds; else 0. */
void app_pool_give_back(
    struct app_pool *p, struct app_worker_entry *worker, enum app_fate fate, int32_t settle);

/*
 * Connect a new template of this language, at this channel (spares_connect), and reload its apps
 * with this configuration. Old workers answer requests until there are new ones.
 */
void app_pool_connect(struct app_pool *p, int language, int channel, const struct config *config);

/*
 * Start the direct workers of config->apps; `listeners` are all of the host's, and each app takes
 * its own. Once, at the start. 0 or -1.
 */
int app_pool_serve(struct app_pool *p, const struct config *config,
    const struct listener *listeners, size_t count);

/*
 * A client has connected to the app with this number, for which the front stands in. true: the app
 * is being loaded once more, since its file has changed or some time has passed; leave the
 * connection to it. false: it would fail again.
 */
bool app_pool_try_again(struct app_pool *p, int number);

/* The listener with this index was rebound; the descriptor is the pool's from now on. */
void app_pool_listen_again(struct app_pool *p, size_t index, int fd);

/* The log file was reopened. */
void app_pool_reopen_log(struct app_pool *p);

/* A snapshot of one app. */
struct app_report {
	char name[256];
	bool serves; /* sockets of its own; then workers at a request are `busy`, others `idle` */
	size_t idle, busy, loading;
	uint64_t requests, failures; /* if it serves: answered, and of these with 5xx */
	uint64_t lost;               /* if it serves: connections that no worker could take */
	uint64_t loads;
	char error[256];    /* "" or why the changed app does not load */
	int64_t error_time; /* since when; seconds since 1970 */
};

/* A snapshot for status and metrics, which the caller frees. NULL with *count 0: there are none. */
struct app_report *app_pool_list(struct app_pool *p, size_t *count);

/*
 * Have direct workers accept no more, and end when their requests have, at the latest by
 * `deadline`.
 */
void app_pool_stop_serving(struct app_pool *p, uint64_t deadline);

/* Have all workers end regularly, and wait for that, at most until this clock_now(). */
void app_pool_stop(struct app_pool *p, uint64_t deadline);

/* Release a stopped pool. A pool that has had an app stays: its thread ends with the process. */
void app_pool_release(struct app_pool *p);

#endif
