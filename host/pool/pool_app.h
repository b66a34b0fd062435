/*
 * The apps of the front as data: their settings, versions and workers. All of it is read and
 * written with the pool's lock held.
 */
#ifndef EXTHOST_POOL_APP_H
#define EXTHOST_POOL_APP_H

#include "base/buffer.h"
#include "pool/app_settings.h"
#include "pool/app_version.h"
#include "worker/app_files.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app_pool_setup;
struct app_sockets;
struct app_worker_entry;

struct app {
	struct app *next;
	char *name;                  /* beneath the extension root */
	struct app_sockets *sockets; /* NULL: the front brings the requests */
	struct app_settings settings;
	struct app_version version;
	struct app_files files; /* of the last load that ended: pool_files.h */
	int notify;             /* inotify(7) on them, or -1 */
	struct app_worker_entry *workers;
	size_t starting; /* workers that are being started and are in no list yet */
	size_t waiting;  /* requests */
	size_t renewing; /* workers to start once one of the new template has loaded */
	/* Workers that could not be started, through no fault of the app; ever. */
	unsigned unstarted;
	pthread_cond_t changed;
	char error[256];      /* why the last load failed; "": it did not */
	struct buffer output; /* the standard error of the last failed load */
	int64_t error_time;   /* when the present row of failed loads began; seconds since 1970 */
	uint64_t loads;       /* successful loads */
	/* By its workers that are gone: requests answered, and of these with 5xx. */
	uint64_t requests, failures_answered;
	uint64_t lost; /* connections that such workers closed: `lost` of the scoreboard */
};

struct app_pool {
	const struct app_pool_setup *setup;
	pthread_mutex_t lock;
	struct app *apps;
	uint64_t last_id;
	int epoll; /* of what pool_watch.c watches */
	bool started, stopping;
	bool serving_ends; /* no direct worker is started any more */
};

/* One more app. NULL: no memory. */
struct app *app_add(struct app_pool *p, const char *name);

/* No worker of this app is needed any more. */
bool app_is_ending(const struct app_pool *p, const struct app *a);

/* A worker of the present version (`present`), or of another, is idle or busy. */
bool app_has_loaded(const struct app *a, bool present);

/* A worker of an older version may answer. */
bool app_old_will_do(const struct app *a);

/* A worker of the present version has loaded and lives, so another will. */
bool app_is_proven(const struct app *a);

/* The idle worker that was busy last: of the present version, or of any. NULL: none. */
struct app_worker_entry *app_youngest_idle(const struct app *a, bool any);

/*
 * Workers of the present version, with those being started; of these, those that load; workers of
 * any version that have loaded.
 */
size_t app_count(const struct app *a);
size_t app_count_loading(const struct app *a);
size_t app_count_loaded(const struct app *a);

/* app_version_step for this app, at this moment; the event's `now` is set here. */
enum app_version_action app_step(struct app *a, struct app_version_event event);

/* This worker must end: a newer version has replaced its own, or it must not answer. */
bool app_outdates(const struct app *a, const struct app_worker_entry *w);

/*
 * There is a new template, and the workers came from an older one: they are to be replaced one for
 * one (supply_keep_enough), whether or not a request comes.
 */
void app_renew(struct app *a);

#endif
