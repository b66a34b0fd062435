/* Operations of the pool on one app worker. With the pool's lock held. */
#ifndef EXTHOST_POOL_WORKER_H
#define EXTHOST_POOL_WORKER_H

#include "pool/pool_app.h"

/* The watched descriptors of a worker. An event's number is w->id * WORKER_DESCRIPTORS + kind. */
enum worker_descriptor { WORKER_CHANNEL, WORKER_ERRORS, WORKER_NOTICES, WORKER_DESCRIPTORS };

int *worker_descriptor(struct app_worker_entry *w, int kind);

/* Watch this worker from now on; or stop watching it, since a guard takes it. */
void worker_watch(struct app_pool *p, struct app_worker_entry *w);
void worker_unwatch(struct app_pool *p, struct app_worker_entry *w);

/* Have a watched worker end regularly. It is killed if it does not. */
void worker_dismiss(struct app_worker_entry *w);

/* Have a watched worker end at once, before it has loaded. */
void worker_give_up(struct app_worker_entry *w);

/*
 * Send a direct worker its sockets, after its order to load. 0, or -1 with errno. *slot: the memory
 * in which the worker shows its state.
 */
int worker_send_sockets(
    struct app_pool *p, const struct app *a, int channel, struct scoreboard_slot **slot);

/* Send a direct worker the log file, which may be another by now. Other workers do not need it. */
void worker_tell_log(const struct app_pool *p, const struct app_worker_entry *w);

/*
 * Have stale direct workers go on (to answer 500 if reload = strict), since the changed app does
 * not load.
 */
void worker_resume_all(struct app *a);

/* Tell the front whether to stand in for this app, if that has changed. */
void worker_tell_stand_in(struct app_pool *p, struct app *a);

#endif
