/*
 * Apps on the front's side: which there are, and the app workers of each. Shared by app_pool.c (whose
 * turn is it), app_start.c (how one begins), app_watch.c (those that serve no request), app_sockets.c
 * (those with sockets of their own), app_settings.c and app_report.c, and by nobody else.
 */
#ifndef EXTHOST_APP_H
#define EXTHOST_APP_H

#include "base/buffer.h"
#include "base/language.h"
#include "config/config.h"
#include "ipc/escalation.h"
#include "ipc/run_channel.h"
#include "request/script.h"
#include "run/stderr_log.h"
#include "template/request_process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct app_pool_setup;
struct scoreboard_slot;
struct run_job;

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
	struct request_process process; /* without an output */
	int notices;                    /* of processes it starts, or -1 */
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
	struct extension_settings
	    extension; /* but for mode and reload, which are in rerun and strict */
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
	unsigned early;      /* deaths of workers soon after they were loaded, in a row */
	uint64_t hold_until; /* so soon no other is started, as one died too early */
};

struct app_pool {
	const struct app_pool_setup *setup;
	pthread_mutex_t lock;
	struct app *apps;
	uint64_t last_id;
	atomic_uint templates[LANGUAGES_MAX]; /* how many have been connected, by language */
	int epoll;                            /* of what app_watch.c watches */
	bool started, stopping;
	bool serving_ends; /* of those that serve sockets of their own none is started any more */
};

/*
 * Start a worker for the app: a spare is taken and told to load. With the lock held, and given away
 * meanwhile. Whether it loads is told later, to app_watch.c; if it cannot even be started the app's
 * failures are counted up here.
 */
void app_start(struct app_pool *p, struct app *a);

/* The same in a thread of its own, for who must not wait. The lock is held throughout. */
void app_start_ahead(struct app_pool *p, struct app *a);

/* A load that has failed. */
struct app_refusal {
	unsigned generation;
	int64_t began; /* CLOCK_REALTIME, nanoseconds */
	int status;    /* HTTP status for who waited: 500, or 503 if it is not the app's fault */
	const char *reason;
};

/* With the lock held. */
void app_refuse(struct app_pool *p, struct app *a, const struct app_refusal *refusal);

/* Watch this worker from now on, or no more, as a guard has it. With the lock held. */
void app_watch(struct app_pool *p, struct app_worker_entry *w);
void app_unwatch(struct app_pool *p, struct app_worker_entry *w);

/* Start the thread that watches. 0 or -1. */
int app_watch_start(struct app_pool *p);

/* The state begins now. */
void app_enter(struct app_worker_entry *w, enum app_state state);

/* Have it end, regularly; if it does not it is killed. Watched already, with the lock held. */
void app_dismiss(struct app_worker_entry *w);

/* Have one end at once that has not loaded yet. Watched already, with the lock held. */
void app_give_up(struct app_worker_entry *w);

/* No worker of this app is needed any more. With the lock held. */
bool app_is_ending(const struct app_pool *p, const struct app *a);

/* Forget one that has died or is given up, and start another if too few are left. Lock held. */
void app_remove(struct app_pool *p, struct app_worker_entry *w);

/* Start workers if there are too few and nothing speaks against it. With the lock held. */
void app_keep_enough(struct app_pool *p, struct app *a);

/* Tell who shall accept, if that has changed. With the lock held. */
void app_tell_stand_in(struct app_pool *p, struct app *a);

/* Send what a worker that serves needs, behind its order to load. 0 or -1 with errno. */
int app_send_sockets(
    struct app_pool *p, const struct app *a, int channel, struct scoreboard_slot **slot);

/* Give a worker that serves the log file, which may have been opened again. Others do not need it. */
void app_tell_log(const struct app_pool *p, const struct app_worker_entry *w);

/*
 * Its files have changed. `settle`: milliseconds until a load can tell their last state from the one
 * before. With the lock held.
 */
void app_begin_generation(struct app *a, int32_t settle);

/* There is a new template: the workers that there are came from an older one. With the lock held. */
void app_outdate(struct app *a);

/* Those that serve and have found themselves stale: go on, as what is new does not load. Lock held. */
void app_resume(struct app *a);

/* One more app. NULL: no memory. Lock held. */
struct app *app_add(struct app_pool *p, const char *name);

/* Of one that serves: how it is to be run now. 0 or -1. Lock held. */
int app_take_settings(struct app_pool *p, struct app *a, const struct config *config);

/* 1: they differ from those before; 0: they do not; -1: no memory. */
int app_copy_extension_settings(
    struct app_settings *to, const struct extension_settings *extension);

/* Of one that the front brings this job. *changed: who has loaded with others will not do. 0 or -1. */
int app_settings_take(struct app_settings *to, const struct run_job *job, bool *changed);

/* The thread that watches is needed. 0 or -1. Lock held. */
int app_start_watching(struct app_pool *p);

/* Workers of the present generation, or about to be; those of any that load; those that have. */
size_t app_count(const struct app *a);
size_t app_count_loading(const struct app *a);
size_t app_count_loaded(const struct app *a);

#endif
