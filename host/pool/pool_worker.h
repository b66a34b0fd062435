/* What the pool does with one app worker, or tells it. With the pool's lock held. */
#ifndef EXTHOST_POOL_WORKER_H
#define EXTHOST_POOL_WORKER_H

#include "pool/pool_app.h"

/* The descriptors of a worker that are watched: an event's number is w->id * KINDS + kind. */
enum worker_descriptor { WORKER_CHANNEL, WORKER_ERRORS, WORKER_NOTICES, WORKER_DESCRIPTORS };

int *worker_descriptor(struct app_worker_entry *w, int kind);

/* Watch this worker from now on; or no more, as a guard has it. */
void worker_watch(struct app_pool *p, struct app_worker_entry *w);
void worker_unwatch(struct app_pool *p, struct app_worker_entry *w);

/* Have a watched worker end, regularly; if it does not, it is killed. */
void worker_dismiss(struct app_worker_entry *w);

/* Have a watched worker end at once that has not loaded yet. */
void worker_give_up(struct app_worker_entry *w);

/*
 * Send what a worker needs that serves sockets of its own, behind its order to load. 0, or -1 with
 * errno; *slot: the memory in which the worker shows what it does.
 */
int worker_send_sockets(
    struct app_pool *p, const struct app *a, int channel, struct scoreboard_slot **slot);

/* Give a worker that serves the log file, which may have been opened again. Others do not need it. */
void worker_tell_log(const struct app_pool *p, const struct app_worker_entry *w);

/* Have the workers go on that have found themselves stale, as what is new does not load. */
void worker_resume_all(struct app *a);

/* Tell the front whether it shall accept for this app, if that has changed. */
void worker_tell_stand_in(struct app_pool *p, struct app *a);

#endif
