/*
 * How many runs there may be at once: of one extension (its lane), and of all together. A request
 * that must wait stands in one queue, and the first in it whose lane has room is the next to run.
 * Safe to call from any thread.
 */
#ifndef EXTHOST_LANES_H
#define EXTHOST_LANES_H

#include <stddef.h>
#include <stdint.h>

struct lane;
struct lanes;

struct lanes_limits {
	uint64_t lane;        /* runs of this extension */
	uint64_t concurrency; /* runs of all */
	uint64_t queue;       /* requests that wait */
	uint64_t timeout;     /* nanoseconds that one may wait */
};

enum lanes_verdict {
	LANES_GO,
	LANES_FULL, /* the queue */
	LANES_LATE, /* it waited too long */
	LANES_GONE  /* the client went away meanwhile */
};

/* NULL: no memory. */
struct lanes *lanes_create(void);

/*
 * Wait for a place for a run of this extension. LANES_GO: *lane is to be given back; else it is
 * NULL. `client` is a socket that is looked at while waiting, or -1. Limits that differ from those
 * of an earlier call hold from now on for those who wait, too.
 */
enum lanes_verdict lanes_enter(struct lanes *l, const char *extension,
    const struct lanes_limits *limits, int client, struct lane **lane);

/* The run has ended; its limits may have changed meanwhile. */
void lanes_leave(struct lanes *l, struct lane *lane, uint64_t concurrency);

/* How many run, and how many wait. */
void lanes_count(struct lanes *l, size_t *running, size_t *waiting);

void lanes_destroy(struct lanes *l);

#endif
