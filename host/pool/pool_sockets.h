/* What the pool does with direct workers and their sockets. With the pool's lock held. */
#ifndef EXTHOST_POOL_SOCKETS_H
#define EXTHOST_POOL_SOCKETS_H

#include "ipc/run_channel.h"

#include <stdbool.h>
#include <stddef.h>

struct app;
struct app_pool;
struct app_worker_entry;
struct scoreboard_slot;

/* The sockets of an app that has its own. */
struct app_sockets {
	int listeners[RUN_SOCKETS_MAX]; /* the front's descriptors */
	int indices[RUN_SOCKETS_MAX];   /* in the list that the front was given */
	unsigned is_tcp, trusted;       /* bit n: the nth listener is */
	size_t count;
	int number;      /* the app's number in the list of listeners */
	bool stood_in;   /* the front accepts there, as the app does not load */
	int exchange[2]; /* for connections that one worker gives to another */
	char *prefix;
	char *section; /* the name of [app NAME] */
};

/*
 * Send a direct worker its sockets, after its order to load. 0, or -1 with errno. *slot: the memory
 * in which the worker shows its state.
 */
int sockets_send(
    struct app_pool *p, const struct app *a, int channel, struct scoreboard_slot **slot);

/* Send a direct worker the log file, which may be another by now. Other workers do not need it. */
void sockets_send_log(const struct app_pool *p, const struct app_worker_entry *w);

/*
 * Have stale direct workers go on (to answer 500 if reload = strict), since the changed app does
 * not load.
 */
void sockets_resume_all(struct app *a);

/* Tell the front whether to stand in for this app, if that has changed. */
void sockets_tell_stand_in(struct app_pool *p, struct app *a);

#endif
