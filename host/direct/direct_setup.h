/* What a direct worker takes at its start from its order to load and the files behind it. */
#ifndef EXTHOST_DIRECT_SETUP_H
#define EXTHOST_DIRECT_SETUP_H

#include "base/log.h"
#include "config/config.h"
#include "ipc/run_channel.h"
#include "net/listen.h"

struct load_order;
struct scoreboard_slot;

/* The byte of a packet that asks a worker to look at the listeners. */
#define DIRECT_LOOK 0xff

/* What it needs for that beside its app. */
struct direct_setup {
	const char *name; /* of the app, beneath the root; the load order's */
	/*
	 * Filled in one place, from the load order, as far as the stages of a request look at it:
	 * root, tmpdir, prefix, debug, max_header, max_connections, body_timeout, reply_buffer,
	 * allow_uid, allow_from, and of the limits max_body, max_reply and timeout. All else is 0.
	 */
	struct config config;
	struct log log;
	struct listener listeners[RUN_SOCKETS_MAX];
	size_t listener_count;
	/*
	 * The socket between the workers of the app: packets go in at `give` and come out at
	 * `take`. The byte of a packet is the index of the listener that accepted the connection,
	 * or DIRECT_LOOK without a connection: direct_pass_on.
	 */
	int give, take;
	int alarm; /* eventfd: wakes the guardian */
	int ping;  /* eventfd: the guardian asks the worker whether it takes its events */
	struct scoreboard_slot *slot;
};

/*
 * Take the descriptors that follow the order to load on this channel, and what the order says; it
 * must last as long as the setup. `script`: absolute path of the app, which stands for the
 * listeners' address. 0 or -1.
 */
int direct_setup_receive(
    struct direct_setup *setup, int channel, const char *script, const struct load_order *order);

/*
 * Give a connection, which was accepted by this listener, to another worker; here it is still to be
 * closed. false: the socket between the workers has no room for it.
 */
bool direct_give(const struct direct_setup *setup, int connection, unsigned char listener);

/*
 * If clients wait in the queue of a listener, have another worker look at it. An event of the
 * listener wakes a single worker, which must pass the event on if it does not accept.
 */
void direct_pass_on(const struct direct_setup *setup);

/*
 * Log that so many connections were closed because no other worker could take them, and count them
 * for status. 0: do nothing.
 */
void direct_count_lost(const struct direct_setup *setup, size_t count);

#endif
