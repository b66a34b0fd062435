/*
 * The apps of the front and their app workers, as data: which there are, in what state, and how an
 * app was to be run when it was asked for last. All of it is read and written with the pool's lock
 * held.
 */
#ifndef EXTHOST_POOL_APP_H
#define EXTHOST_POOL_APP_H

#include "base/buffer.h"
#include "base/language.h"
#include "binding.h"
#include "config/config.h"
#include "ipc/escalation.h"
#include "ipc/process_handle.h"
#include "ipc/run_channel.h"
#include "run/stderr_log.h"

#include <pthread.h>
#include <stdbool.h>
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
	bool rerun, debug, strict;
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
	struct app_worker_entry *workers;
	unsigned generation;    /* counts up when its files have changed, */
	unsigned renewed;       /* the last that began though they have not, */
	unsigned refused;       /* the one that does not load; 0: none, */
	int64_t refused_at;     /* when that was tried; CLOCK_REALTIME, nanoseconds, */
	int refused_status;     /* what it means for a request, */
	uint64_t retry_at;      /* and when to try it again; clock_now() */
	unsigned failures;      /* of loading the present generation, ever, */
	unsigned refusals;      /* and in a row, of what is beside the same files */
	uint64_t settled_at;    /* no load begins before this clock_now() */
	uint64_t refused_clock; /* clock_now() of the last */
	size_t starting;        /* workers that are being started and are in no list yet */
	size_t waiting;         /* requests */
	pthread_cond_t changed;
	char error[256];      /* why the last load failed; "": it did not, */
	struct buffer output; /* what it wrote then, */
	int64_t error_time;   /* and since when; seconds since 1970 */
	uint64_t loads;       /* that went well */
	/* By its workers that are gone: requests answered, and of these with 5xx. */
	uint64_t requests, failures_answered;
	uint64_t lost;       /* connections that were closed: `lost` of the scoreboard */
	unsigned early;      /* deaths of workers soon after they were loaded, in a row */
	uint64_t hold_until; /* so soon no other is started, as one died too early */
};

struct app_pool_setup {
	const struct log *log;
	struct spares *spares;
	struct scripts *scripts;
	struct config_share *configs;
	const struct binding *const *bindings;
	const char *root_path;
	int root; /* descriptor of the extension root */
	/* Whether somebody must stand in for the app with this number, which has no workers. */
	void (*stand_in)(void *context, int app, bool on);
	void *context;
};

/* What there is to tell of one app. */
struct app_report {
	char name[256];
	bool serves; /* sockets of its own; then those at work are `busy`, the others `idle` */
	size_t idle, busy, loading;
	uint64_t requests, failures; /* of one that serves: answered, and of these with 5xx */
	uint64_t lost;               /* of one that serves: connections that no worker could take */
	uint64_t loads;
	char error[256];    /* "" or why the changed one does not load */
	int64_t error_time; /* since when; seconds since 1970 */
};

struct app_pool {
	const struct app_pool_setup *setup;
	pthread_mutex_t lock;
	struct app *apps;
	uint64_t last_id;
	int epoll; /* of what pool_watch.c watches */
	bool started, stopping;
	bool serving_ends; /* of those that serve sockets of their own none is started any more */
};

/* One more app. NULL: no memory. */
struct app *app_add(struct app_pool *p, const char *name);

/* No worker of this app is needed any more. */
bool app_is_ending(const struct app_pool *p, const struct app *a);

/* The present generation does not load. */
bool app_is_refused(const struct app *a);

/* A worker of the present generation (`present`), or of another, is idle or busy. */
bool app_has_loaded(const struct app *a, bool present);

/* A worker of an older generation may answer. */
bool app_old_will_do(const struct app *a);

/* A worker of the present generation has loaded, so another will. */
bool app_is_proven(const struct app *a);

/* The idle worker that was busy last: of the present generation, or of any. NULL: none. */
struct app_worker_entry *app_youngest_idle(const struct app *a, bool any);

/* Workers of the present generation, or about to be; of any that load; of any that have loaded. */
size_t app_count(const struct app *a);
size_t app_count_loading(const struct app *a);
size_t app_count_loaded(const struct app *a);

/* The worker's state begins now. */
void app_enter(struct app_worker_entry *w, enum app_state state);

/*
 * The app's files have changed. `settle`: milliseconds until a load can tell their last state from
 * the one before.
 */
void app_begin_generation(struct app *a, int32_t settle);

/* There is a new template: the workers that there are came from an older one. */
void app_outdate(struct app *a);

/* How an app with sockets of its own is to be run now. 0, or -1: no memory. */
int app_take_settings(struct app *a, const struct config *config);

/*
 * How an app is to be run that the front brings this request. *changed: workers that loaded with
 * other settings will not do. 0, or -1: no memory.
 */
int app_settings_take(struct app_settings *to, const struct exchange *x, bool *changed);

/*
 * Take over the languages' own settings. 1: they differ from those before; 0: they do not; -1: no
 * memory.
 */
int app_copy_extension_settings(
    struct app_settings *to, const struct extension_settings *extension);

#endif
