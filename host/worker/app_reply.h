/* Where an app's reply goes: the host's side of binding_reply_write and its like in binding.h. */
#ifndef EXTHOST_APP_REPLY_H
#define EXTHOST_APP_REPLY_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct cgi_reply;

struct binding_reply {
	int pipe;                /* plain app worker: the pipe to the front; -1: direct worker */
	struct cgi_reply *reply; /* direct worker: the reply so far */
	pid_t owner;             /* direct worker: the only process that may write */
	/*
	 * Direct worker: the file that binding_reply_descriptor lends; -1: none yet. It is lent
	 * again only after a rerun that has left nothing behind, since a process that keeps it can
	 * write to it later.
	 */
	int memory;
	atomic_int *lent; /* direct worker: `memory`, for the guardian to watch */
	bool refused;     /* what the app wrote is no valid reply */
	struct error why; /* if refused */
};

/* Direct worker: append what was written to `memory`, if anything, to the reply, and empty it. */
void app_reply_take_memory(struct binding_reply *r);

/*
 * As app_reply_take_memory, for the last time in a request. `alone`: no other process has `memory`,
 * so that it can be lent again; otherwise it is closed, and what is written to it later reaches no
 * reply. The empty `memory`, or -1.
 */
int app_reply_end(struct binding_reply *r, bool alone);

#endif
