/* What an app worker that serves sockets of its own is told at its start. */
#ifndef EXTHOST_DIRECT_SETUP_H
#define EXTHOST_DIRECT_SETUP_H

#include "base/log.h"
#include "config/config.h"
#include "ipc/run_channel.h"
#include "net/listen.h"

struct scoreboard_slot;

/* What it needs for that beside its app. */
struct direct_setup {
	char *name;           /* of the app, beneath the root */
	struct config config; /* as far as the stages of a request look at it */
	struct log log;
	struct listener listeners[RUN_SOCKETS_MAX];
	size_t listener_count;
	int give, take; /* connections for other workers of the app, and from them */
	int alarm;      /* eventfd: wakes the guardian */
	struct scoreboard_slot *slot;
};

/* Take the descriptors that follow the order to load, and its settings. 0 or -1. */
int direct_setup_receive(struct direct_setup *setup, int channel, const struct run_order *order);

/*
 * Give a connection, which was accepted by this listener, to another worker; here it is still to be
 * closed. false: there is no room for it.
 */
bool direct_give(const struct direct_setup *setup, int connection, unsigned char listener);

/* Accept all that wait to be, for other workers. */
void direct_give_waiting(const struct direct_setup *setup);

#endif
