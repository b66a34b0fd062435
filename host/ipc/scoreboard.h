/*
 * What an app worker that serves sockets of its own shows of itself: memory that it shares with its
 * guardian, which acts on it when the worker dies or takes too long, and with the front, which
 * looks in. The worker alone writes, but for the three fields of its guardian.
 */
#ifndef EXTHOST_SCOREBOARD_H
#define EXTHOST_SCOREBOARD_H

#include "base/log.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SCOREBOARD_LINE 256
#define SCOREBOARD_CONNECTIONS 1024

struct scoreboard_slot {
	/* Counted up when a request begins and when it ends: odd while one is being answered. */
	atomic_uint_fast64_t turn;
	/* Of that request: */
	atomic_uint_fast64_t began, deadline; /* clock_now() */
	atomic_uint_fast64_t ended;           /* when it is over; the same */
	atomic_bool released;                 /* a part of the reply has left */
	atomic_int sent; /* the reply's status, once all that it announces has left; 0: not yet */
	atomic_int fd;
	atomic_int memory; /* the file that binding_reply_descriptor has lent; -1: none */
	bool followed;     /* as in struct request */
	uint16_t request_id;
	char id[17];
	char method[16];
	char uri[SCOREBOARD_LINE];
	/* The guardian's: the turn whose client has given it up (ABORT_REQUEST); 0: none yet. */
	atomic_uint_fast64_t aborted;
	/* Of all: */
	atomic_uint_fast64_t requests, failures; /* failures: answered with 5xx */
	atomic_uint_fast64_t time;               /* nanoseconds */
	/* Log lines that are not written yet. */
	struct log_gather lines;
	/*
	 * The descriptor of each connection that waits for its next request; SCOREBOARD_NONE: there is
	 * none; SCOREBOARD_GIVING: the guardian is giving it to another worker; SCOREBOARD_GIVEN: it has,
	 * and it is to be closed. Whoever exchanges it for something else has it.
	 */
	atomic_int idle[SCOREBOARD_CONNECTIONS];
	unsigned char listener[SCOREBOARD_CONNECTIONS]; /* that accepted it, by its index */
	atomic_bool serves; /* the app is loaded, and its listeners are the worker's */
	atomic_bool asleep; /* the guardian waits to be told of the next request, by its eventfd */
};

enum { SCOREBOARD_NONE = -1, SCOREBOARD_GIVEN = -2, SCOREBOARD_GIVING = -3 };

/* For the worker: take a connection as its own. What it was: SCOREBOARD_GIVEN, or anything else. */
int scoreboard_claim(struct scoreboard_slot *slot, uint32_t index);

#endif
