/*
 * The pools of app workers, one for each app. A request takes a worker, waiting until one is free or
 * another is loaded, and gives it back. Safe to call from any thread.
 */
#ifndef EXTHOST_APP_POOL_H
#define EXTHOST_APP_POOL_H

#include "pool/pool_app.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app_pool;
struct app_worker_entry;
struct config;
struct error;
struct process_handle;
struct listener;
struct exchange;

/* `setup` must outlive it. NULL: no memory. */
struct app_pool *app_pool_create(const struct app_pool_setup *setup);

/* What was taken. */
struct app_taken {
	struct app_worker_entry *worker;
	struct process_handle *process; /* without an output */
	int *notices;                   /* of processes it starts, or -1 */
	int64_t accept; /* its files have changed, but as they were then (CLOCK_REALTIME,
	                   nanoseconds) they do not load; 0: nothing is known */
};

/*
 * Take a worker for the app that the request is routed to. 0, or the HTTP status with *e: it does not load
 * (what it wrote on that is appended to *output), or none came within its time limit.
 */
int app_pool_take(struct app_pool *p, const struct exchange *x, struct app_taken *taken,
    struct buffer *output, struct error *e);

/* What became of one that was taken. */
enum app_fate {
	APP_FATE_ALIVE, /* it can answer again */
	APP_FATE_STALE, /* so, but its files have changed */
	APP_FATE_ENDS,  /* it is about to end by itself */
	APP_FATE_DEAD
};

/* settle: for APP_FATE_STALE, the milliseconds until the app's files have come to rest; else 0. */
void app_pool_give_back(
    struct app_pool *p, struct app_worker_entry *worker, enum app_fate fate, int32_t settle);

/*
 * There is a new template of this language, at this channel: spares_connect, and its apps are loaded
 * anew, each request being answered by an old worker as long as there is no new one. The
 * configuration is that of now on.
 */
void app_pool_connect(struct app_pool *p, int language, int channel, const struct config *config);

/*
 * Start the apps that serve sockets of their own: those of config->apps, which accept at those
 * listeners (all that there are) that are theirs. Once, at the start. 0 or -1.
 */
int app_pool_serve(struct app_pool *p, const struct config *config,
    const struct listener *listeners, size_t count);

/*
 * Somebody has connected to the app with this number, for which another stands in. true: it is being
 * loaded once more, as its file has changed or some time has passed, and who stands in shall leave the
 * connection to it. false: it would fail again.
 */
bool app_pool_try_again(struct app_pool *p, int number);

/* The nth listener was bound anew, to this descriptor, which is the pool's from now on. */
void app_pool_listen_again(struct app_pool *p, size_t index, int fd);

/* The log file was opened again. */
void app_pool_reopen_log(struct app_pool *p);

/* A copy for who looks in; the caller frees. NULL with *count 0: there are none. */
struct app_report *app_pool_list(struct app_pool *p, size_t *count);

/* Those that serve sockets of their own accept no more, and end when their requests have. */
void app_pool_stop_serving(struct app_pool *p, uint64_t deadline);

/* Have all end, regularly, and wait until they have, at most until this clock_now(). */
void app_pool_stop(struct app_pool *p, uint64_t deadline);

/* After that. One that has had an app stays: its thread ends with the process. */
void app_pool_release(struct app_pool *p);

#endif
