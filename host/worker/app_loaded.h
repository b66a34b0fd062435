/* An app that is loaded into this process: an app worker or a direct worker. */
#ifndef EXTHOST_APP_LOADED_H
#define EXTHOST_APP_LOADED_H

#include "binding.h"
#include "config/config.h"
#include "worker/app_files.h"

#include <limits.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

struct load_order;

struct app_loaded {
	struct binding_app app; /* the first: binding_depends is given no more than this */
	const struct binding *binding;
	char root[PATH_MAX]; /* of what the app is made of, with a slash at its end */
	int channel;         /* to the front */
	uint64_t cpu;        /* seconds that a request may use */
	uint64_t max_rss;    /* bytes */
	uint64_t left;       /* requests */
	bool loading;        /* report each file to the front */
	bool spent; /* a rerun left something behind: no request may be run here any more */
	struct timespec since; /* when the load, or the last request, began */
	struct rusage used;    /* before the request */
	rlim_t descriptors;    /* RLIMIT_NOFILE, once the app is loaded */
	time_t looked;         /* second of CLOCK_REALTIME in which the limit was last read */
	bool serves;           /* in a direct worker */
	struct app_files files;
	struct config_list environment; /* variables of `env` */
};

/*
 * Load what the order says; the order's texts must last as long as the app. If that fails, this
 * reports the reason and ends the process.
 */
void app_load(struct app_loaded *a, const struct binding *binding, struct binding_run *run,
    const struct load_order *order);

/*
 * Run the app's background work until the descriptor is readable: true. false, at once: the app has
 * no background work.
 */
bool app_wait(struct app_loaded *a, int descriptor);

/* Answer one request: 0 or the flags of binding.h. */
int app_answer(struct app_loaded *a, struct binding_call *call);

/*
 * Go on although files have changed up to `until` (app_files_accept): they do not load, so no other
 * worker could take this one's place. max_requests does not end it any more.
 */
void app_accept(struct app_loaded *a, int64_t until);

/* What was used since the last call. */
void app_take_usage(struct app_loaded *a, struct rusage *usage);

/* End, regularly. */
void app_leave(struct app_loaded *a) __attribute__((noreturn));

#endif
