/* Where app workers come from, and when there are enough. With the pool's lock held. */
#ifndef EXTHOST_POOL_SUPPLY_H
#define EXTHOST_POOL_SUPPLY_H

#include "pool/pool_app.h"

/*
 * Start a worker for the app: a spare is taken and told to load. The lock is given away meanwhile.
 * Whether it loads is told later, to pool_watch.c; if it cannot even be started the app's failures are
 * counted up here.
 */
void supply_start(struct app_pool *p, struct app *a);

/* The same in a thread of its own, for a caller that must not wait. The lock is held throughout. */
void supply_start_ahead(struct app_pool *p, struct app *a);

/* Start workers if there are too few and nothing speaks against it. */
void supply_keep_enough(struct app_pool *p, struct app *a);

/* A load that has failed. */
struct app_refusal {
	unsigned generation;
	int64_t began; /* clock_real() */
	int status; /* HTTP status for requests that waited: 500, or 503 if it is not the app's fault */
	const char *reason;
};

void supply_refuse(struct app_pool *p, struct app *a, const struct app_refusal *refusal);

/*
 * Forget a worker that has died or is given up, and start another if too few are left. Its descriptors
 * are closed: they must not be watched any more.
 */
void supply_remove(struct app_pool *p, struct app_worker_entry *w);

#endif
