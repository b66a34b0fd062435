/*
 * The state of a direct worker, in memory that it shares with its guardian, which acts on it when
 * the worker dies or takes too long, and with the front, which reads it for status. Only the worker
 * writes to it, except for the guardian's fields: `aborted`, `asleep` and, to give connections
 * away, `idle`.
 */
#ifndef EXTHOST_SCOREBOARD_H
#define EXTHOST_SCOREBOARD_H

#include "base/log.h"
#include "net/wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SCOREBOARD_METHOD 16
#define SCOREBOARD_LINE 256
#define SCOREBOARD_CONNECTIONS 1024

/* A request that a worker has begun to read. */
struct scoreboard_request {
	atomic_uint_fast64_t began; /* clock_now() */
	uint16_t request_id;        /* 0: its head is not whole yet */
	bool keeps;                 /* the connection takes another request after its answer */
	char id[17];
	char method[SCOREBOARD_METHOD];
	char path[SCOREBOARD_LINE]; /* as the log shows it; "": not known yet */
};

struct scoreboard_slot {
	/* Incremented when a request begins and when it ends: odd while it is being answered. */
	atomic_uint_fast64_t turn;
	/* The request of this turn, or of the last: its index in `shown`. */
	atomic_uint place;
	atomic_uint_fast64_t deadline; /* clock_now() */
	atomic_uint_fast64_t ended;    /* clock_now() of its end */
	atomic_bool released;          /* a byte of the reply has been sent */
	atomic_int sent; /* the reply's status, once the whole reply has been sent; 0: not yet */
	atomic_int fd;
	/* Descriptor of the file that binding_reply_descriptor has lent; -1: none. */
	atomic_int memory;
	/*
	 * Descriptor of the log while a file stands in for standard error, since the request's
	 * error page may show that; -1: none does. If the worker dies, the guardian logs the file.
	 */
	atomic_int errors_log;
	/* The first of the bytes that the worker has taken behind the request. */
	unsigned char behind[WIRE_HEADER];
	size_t behind_size;
	/* Written by the guardian: the turn whose client has sent ABORT_REQUEST; 0: none yet. */
	atomic_uint_fast64_t aborted;
	/* Sums over all requests: */
	atomic_uint_fast64_t requests, failures; /* `failures` were answered with 5xx */
	atomic_uint_fast64_t time;               /* nanoseconds */
	atomic_uint_fast64_t lost; /* connections that were closed, as no worker could take them */
	/* Log lines that are not written yet; the guardian writes them if the worker dies. */
	struct log_gather lines;
	/*
	 * By the index of a connection: its descriptor while it waits for its next request;
	 * SCOREBOARD_NONE: it does not; SCOREBOARD_GIVING: the guardian is giving it to another
	 * worker; SCOREBOARD_GIVEN: it has done so, and the worker must close it. The process that
	 * exchanges the descriptor for another value owns the connection.
	 */
	atomic_int idle[SCOREBOARD_CONNECTIONS];
	/* Index of the listener that accepted it. */
	unsigned char listener[SCOREBOARD_CONNECTIONS];
	/*
	 * By the same index: its descriptor from the first look at its next request to the end of
	 * its turn, or SCOREBOARD_NONE. If the worker dies, the guardian answers the request.
	 */
	atomic_int begun[SCOREBOARD_CONNECTIONS];
	struct scoreboard_request shown[SCOREBOARD_CONNECTIONS];
	atomic_bool serves;         /* the app is loaded, and the worker accepts */
	atomic_uint_fast64_t pongs; /* answers to the guardian's pings */
	/* The guardian sleeps until the eventfd tells it of the next request. */
	atomic_bool asleep;
};

enum { SCOREBOARD_NONE = -1, SCOREBOARD_GIVEN = -2, SCOREBOARD_GIVING = -3 };

/*
 * For the worker: take a connection back from the table. Returns its entry: SCOREBOARD_GIVEN, or
 * any other.
 */
int scoreboard_claim(struct scoreboard_slot *slot, uint32_t index);

#endif
