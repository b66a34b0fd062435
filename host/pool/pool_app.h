/*
 * The apps of the front as data: their settings, versions and workers. All of it is read and
 * written with the pool's lock held.
 */
#ifndef EXTHOST_POOL_APP_H
#define EXTHOST_POOL_APP_H

#include "base/buffer.h"
#include "pool/app_settings.h"
#include "pool/app_version.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_share;
struct exchange;
struct log;
struct scoreboard_slot;
struct scripts;
struct spares;

enum app_state {
	APP_LOADS, /* since `since`, and until its deadline */
	APP_IDLE,
	APP_BUSY,   /* a guard has it, and its descriptors */
	APP_SERVES, /* sockets of its own */
	APP_LEAVES  /* it was told to, or has said that it does */
};

struct app_worker_entry {
	struct app_worker_entry *next;
	struct app *app;
	uint64_t id;
	struct process_handle process; /* without an output */
	int notices;                   /* of processes it starts, or -1 */
	enum app_state state;
	uint64_t since;      /* clock_now() */
	unsigned generation; /* of the app's files, as they were when it was started, */
	unsigned accepted;   /* and a later one that it serves on beside, as that does not load */
	int64_t began;       /* CLOCK_REALTIME when it was started, nanoseconds */
	bool stale;          /* it serves, and waits for one of a newer generation */
	bool died;           /* its template or guardian has told so, and this: */
	int32_t wait_status; /* as of waitpid(2) */
	struct scoreboard_slot *slot; /* of one that serves; else NULL */
	char request[17];             /* the id of the request whose messages are being logged */
	struct escalation end;
	struct stderr_log errors;
};

/* How the app was to be run when it was asked for last. */
struct app_settings {
	int language; /* of one that serves it is found out when it is started */
	bool rerun, debug, validate, strict;
	struct limits limits;
	/* The languages' own settings alone; mode and reload are in rerun and strict. */
	struct extension_settings extension;
};

/* An app that serves sockets of its own. */
struct app_sockets {
	int listeners[RUN_SOCKETS_MAX]; /* the front's descriptors */
	int indices[RUN_SOCKETS_MAX];   /* in the list that the front was given */
	unsigned is_tcp, trusted;       /* bit n: the nth is */
	size_t count;
	int number;             /* of the app, in the listeners */
	bool stood_in;          /* somebody else accepts there, as it does not load */
	int exchange[2];        /* for connections that one worker gives to another */
	char *prefix, *section; /* [app NAME]'s name */
};

struct app {
	struct app *next;
	char *name;                  /* beneath the extension root */
	struct app_sockets *sockets; /* NULL: the front brings the requests */
	struct app_settings settings;
	struct app_version version;
	struct app_worker_entry *workers;
	size_t starting; /* workers that are being started and are in no list yet */
	size_t waiting;  /* requests */
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

/* Workers of the present version, or about to be; of any that load; of any that have loaded. */
size_t app_count(const struct app *a);
size_t app_count_loading(const struct app *a);
size_t app_count_loaded(const struct app *a);

/* app_version_step for this app, at this moment; the event's `now` is set here. */
enum app_version_action app_step(struct app *a, struct app_version_event event);

/* There is a new template, and the workers came from an older one. */
void app_renew(struct app *a);

#endif
