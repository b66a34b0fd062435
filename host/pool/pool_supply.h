/* Starts app workers, and decides when there are enough. With the pool's lock held. */
#ifndef EXTHOST_POOL_SUPPLY_H
#define EXTHOST_POOL_SUPPLY_H

#include <stdbool.h>
#include <stdint.h>

struct app;
struct app_pool;
struct app_worker_entry;
struct app_files;

/*
 * Start a worker for the app: take a spare and order it to load. Releases the lock for that time.
 * The result of the load goes to pool_watch.c; if the worker cannot even be started, the version
 * is refused here.
 */
void supply_start(struct app_pool *p, struct app *a);

/* As supply_start, in a thread of its own, for a caller that must not wait. Keeps the lock. */
void supply_start_ahead(struct app_pool *p, struct app *a);

/* Start workers if there are too few and no reason is against it. */
void supply_keep_enough(struct app_pool *p, struct app *a);

/* A load that has ended without success. */
struct app_refusal {
	unsigned version;
	int64_t began; /* clock_real() */
	/* HTTP status for waiting requests: 500, or 503 if it is not the app's fault. */
	int status;
	const char *reason;
	bool killed;             /* by the kernel: most likely for want of memory */
	struct app_files *files; /* the files it had read; may be NULL; empty afterwards if kept */
};

/*
 * If it counts (app_version.c), the version is refused: waiting requests and direct workers that
 * wait learn of it.
 */
void supply_refuse(struct app_pool *p, struct app *a, const struct app_refusal *refusal);

/*
 * Remove a worker that has died or is given up, and start another if there are too few. Closes the
 * worker's descriptors: they must not be watched any more.
 */
void supply_remove(struct app_pool *p, struct app_worker_entry *w);

#endif
