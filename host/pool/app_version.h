/*
 * The versions of an app: one each time its files or settings change, or its template is replaced.
 * A state machine of data alone: no I/O, no lock, no clock; the table is in app_version.c.
 */
#ifndef EXTHOST_APP_VERSION_H
#define EXTHOST_APP_VERSION_H

#include <stdbool.h>
#include <stdint.h>

enum app_version_state {
	APP_VERSION_NEW,     /* no load of it has ended, and none goes on */
	APP_VERSION_TRIED,   /* the first load goes on */
	APP_VERSION_LOADED,  /* a worker has loaded it, so another will */
	APP_VERSION_REFUSED, /* its last load failed */
	APP_VERSION_RETRIED  /* its last load failed, and another goes on */
};

/* The present version of an app. Times are of clock_now() unless marked otherwise. */
struct app_version {
	enum app_version_state state;
	unsigned number; /* starts at 1, and is incremented with each version */
	/* No file has changed since the last version: its workers answer until this has loaded. */
	bool keeps_old;
	bool retries_alone;  /* retried without a request, so less and less often */
	unsigned failures;   /* failed loads of present versions, ever */
	unsigned refusals;   /* failed loads in a row, of the same files */
	unsigned unclear;    /* loads in a row that failed while files changed */
	unsigned lost;       /* loads in a row that the kernel has killed */
	int refused_status;  /* HTTP status for the requests that waited for the last failed load */
	int64_t tried_at;    /* the last failed load began; CLOCK_REALTIME, nanoseconds */
	uint64_t refused_at; /* the last load failed */
	uint64_t retry_at;   /* no load of a refused version begins before */
	uint64_t
	    settled_at; /* no load begins before: it could not tell its files from older ones */
	unsigned early; /* workers that died soon after their load, in a row */
	uint64_t hold_until; /* no worker is started before, because of such deaths */
};

enum app_version_event_kind {
	APP_VERSION_CHANGED, /* files differ from those of .number; .settle */
	APP_VERSION_RESET,   /* settings have changed: workers of older versions must not answer */
	APP_VERSION_RENEWED, /* a new template; .keeps_old */
	APP_VERSION_BEGUN,   /* a load begins */
	APP_VERSION_READY,   /* a worker has loaded .number */
	/* A load of .number has failed; .tried_at, .status, .changed, .settle. */
	APP_VERSION_FAILED,
	APP_VERSION_LOST,  /* a load of .number has ended, and proves nothing; .killed */
	APP_VERSION_ASKED, /* a client waits */
	APP_VERSION_LOOK,  /* time has passed */
	APP_VERSION_DIED   /* a loaded worker has died at this .age */
};

struct app_version_event {
	enum app_version_event_kind kind;
	uint64_t now;     /* clock_now() */
	unsigned number;  /* the version that the worker has loaded or accepted */
	bool keeps_old;   /* RENEWED: workers of the present version may answer on */
	bool changed;     /* FAILED: a file has changed since the load began */
	bool killed;      /* LOST: by the kernel, and not with its template */
	int status;       /* FAILED: HTTP status for requests that wait */
	int32_t settle;   /* milliseconds until a load can tell the files from older ones */
	int64_t tried_at; /* FAILED: the load began; CLOCK_REALTIME, nanoseconds */
	uint64_t age;     /* DIED: nanoseconds since the worker had loaded */
};

enum app_version_action {
	APP_VERSION_NOTHING,
	APP_VERSION_START,   /* start the workers that are missing */
	APP_VERSION_REPLACE, /* dismiss the workers of older versions */
	APP_VERSION_GO_ON    /* tell workers of older versions to go on: the new one is refused */
};

/* Version 1, new. retries_alone: the app has sockets of its own. */
struct app_version app_version_first(bool retries_alone);

/* The one transition: an event in, the new state and what is to be done out. */
enum app_version_action app_version_step(
    struct app_version *v, const struct app_version_event *event);

/* The last load of the present version that has ended failed. */
bool app_version_is_refused(const struct app_version *v);

/* Neither early deaths nor a failed load stand against beginning a load now. */
bool app_version_may_start(const struct app_version *v, uint64_t now);

#endif
