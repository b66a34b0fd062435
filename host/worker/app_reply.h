/* Where the reply of an app goes: what binding.h promises of binding_reply_write and its like. */
#ifndef EXTHOST_APP_REPLY_H
#define EXTHOST_APP_REPLY_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct cgi_reply;

struct binding_reply {
	int pipe;                /* to the front; -1: straight to the client */
	struct cgi_reply *reply; /* straight to the client: what it has become so far */
	pid_t owner;             /* straight to the client: the one process that may write */
	/* Straight to the client: a file that binding_reply_descriptor lends; -1: none yet. It is lent again only
	   after a rerun that has left nothing behind, since whatever keeps it can write later. */
	int memory;
	atomic_int *lent; /* straight to the client: the same, for the guardian to watch */
	bool refused;     /* it is no reply, for this reason: */
	struct error why;
};

/*
 * Append what was written to the memory, if anything, to the reply, and empty the memory. For a reply
 * straight to the client.
 */
void app_reply_take_memory(struct binding_reply *r);

/*
 * The same for the last time. alone: nothing but this process has the memory, which can be lent again; else
 * what is written to it later reaches no reply. The memory, empty, or -1.
 */
int app_reply_end(struct binding_reply *r, bool alone);

#endif
