/*
 * Limits the runs: of one extension (its lane), and of all together. A request that must wait joins
 * one queue; the first in it whose lane has room runs next. Safe to call from any thread.
 *
 * A run that waits for its process, because the template of its language is gone or hangs, holds no
 * place of another language. It goes on when the process is there, so for a moment there may be
 * more runs than --concurrency: at most as many again for each such language.
 */
#ifndef EXTHOST_LANES_H
#define EXTHOST_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lane;
struct lanes;

struct lanes_limits {
	int language;         /* of the extension */
	uint64_t lane;        /* runs of this extension */
	uint64_t concurrency; /* runs of all */
	uint64_t queue;       /* requests that wait */
	uint64_t timeout;     /* nanoseconds that a request may wait */
};

enum lanes_verdict {
	LANES_GO,
	LANES_FULL, /* the queue is full */
	LANES_LATE, /* the request waited too long */
	LANES_GONE  /* the client left while the request waited */
};

/* NULL: no memory. */
struct lanes *lanes_create(void);

/*
 * Wait for a place for a run of this extension. LANES_GO: *lane must be given back with
 * lanes_leave; else it is NULL. `client`: a socket that is checked while waiting, or -1. If the
 * limits differ from those of an earlier call, they also hold for requests that wait already.
 */
enum lanes_verdict lanes_enter(struct lanes *l, const char *extension,
    const struct lanes_limits *limits, int client, struct lane **lane);

/* The run has ended. `concurrency` may have changed since lanes_enter. */
void lanes_leave(struct lanes *l, struct lane *lane, uint64_t concurrency);

/*
 * One more run of this language waits for its process (`waits`), or one fewer. At most as many
 * count as there are runs of the language.
 */
void lanes_process_waits(struct lanes *l, int language, bool waits);

/* The number of runs, and of requests that wait. */
void lanes_count(struct lanes *l, size_t *running, size_t *waiting);

void lanes_destroy(struct lanes *l);

#endif
