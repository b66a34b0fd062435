/*
 * Whose turn it is. All of one app's workers stand in one list; a request takes the idle one that
 * was busy last, so that those beyond need stay idle and end.
 *
 * An app's files have a generation, which counts up when a worker finds them changed. From then on
 * only a worker of the new generation will do, and the first request starts one and waits for it;
 * others go on with what they have. When the new one does not load, the old ones serve on (unless
 * that is not wanted) until the files change again, and it is tried again every two seconds, since
 * what was wrong may have been in a file that nobody knows of.
 */
#include "app_pool.h"

#include "app.h"
#include "app_slot.h"
#include "binding.h"
#include "error.h"
#include "fd.h"
#include "request.h"
#include "route.h"
#include "run.h"
#include "spares.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SECOND 1000000000ULL

static struct app *find(struct app_pool *p, const struct run_job *job);
static int wait_for_worker(
    struct app_pool *p, struct app *a, struct app_worker_entry **w, bool *force, struct error *e);

struct app_pool *app_pool_create(const struct app_pool_setup *setup)
{
	struct app_pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->setup = setup;
	p->epoll = -1;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

int app_start_watching(struct app_pool *p)
{
	if (!p->started && app_watch_start(p) < 0)
		return -1;
	p->started = true;
	return 0;
}

int app_pool_take(struct app_pool *p, const struct run_job *job, struct app_taken *taken,
    struct buffer *output, struct error *e)
{
	struct app_worker_entry *w = NULL;
	struct app *a;
	int result = -1;

	*taken = (struct app_taken){0};
	pthread_mutex_lock(&p->lock);
	a = find(p, job);
	if (a == NULL || app_start_watching(p) < 0) {
		error_set(e, "out of memory");
	} else {
		a->waiting++;
		result = wait_for_worker(p, a, &w, &taken->force, e);
		a->waiting--;
		if (result < 0)
			buffer_append(output, a->output.data, a->output.size);
	}
	if (w != NULL) {
		app_unwatch(p, w);
		app_enter(w, APP_BUSY);
		taken->worker = w;
		taken->process = &w->process;
		taken->notices = &w->notices;
	}
	pthread_mutex_unlock(&p->lock);
	return result;
}

static int set_text(char **place, const char *text)
{
	char *copy = *place != NULL && strcmp(*place, text) == 0 ? *place : strdup(text);

	if (copy == NULL)
		return -1;
	if (copy != *place)
		free(*place);
	*place = copy;
	return 0;
}

int app_copy_manners(struct app_settings *to, const struct manners *manners)
{
	if (set_text(&to->manners.python_path, manners->python_path) < 0 ||
	    set_text(&to->manners.python_venv, manners->python_venv) < 0)
		return -1;
	return set_text(&to->manners.tcl_path, manners->tcl_path);
}

static int take_settings(struct app *a, const struct run_job *job)
{
	struct app_settings *to = &a->settings;

	if (app_copy_manners(to, job->manners) < 0)
		return -1;
	to->language = job->found->language;
	to->rerun = job->found->kind == SCRIPT_RERUN;
	to->debug = job->debug;
	to->strict = strcmp(job->manners->reload, "strict") == 0;
	to->limits = *job->limits;
	return 0;
}

struct app *app_add(struct app_pool *p, const char *name)
{
	struct app *a = calloc(1, sizeof(*a));
	pthread_condattr_t monotonic;

	if (a == NULL || (a->name = strdup(name)) == NULL) {
		free(a);
		return NULL;
	}
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&a->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	a->generation = 1;
	a->next = p->apps;
	p->apps = a;
	return a;
}

static struct app *find(struct app_pool *p, const struct run_job *job)
{
	struct app *a = p->apps;
	bool changed;

	while (a != NULL && (a->sockets != NULL || strcmp(a->name, job->route->name) != 0))
		a = a->next;
	if (a == NULL)
		a = app_add(p, job->route->name);
	if (a == NULL)
		return NULL;
	changed = a->settings.manners.tcl_path != NULL &&
		  (a->settings.language != job->found->language ||
		      a->settings.rerun != (job->found->kind == SCRIPT_RERUN));
	if (take_settings(a, job) < 0)
		return NULL;
	a->generation += changed;
	return a;
}

/* The idle one that was busy last: of the present generation, or of any. */
static struct app_worker_entry *youngest_idle(const struct app *a, bool any)
{
	struct app_worker_entry *found = NULL;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->state == APP_IDLE && (any || w->generation == a->generation) &&
		    (found == NULL || w->since > found->since))
			found = w;
	return found;
}

static bool has_old(const struct app *a)
{
	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->generation != a->generation &&
		    (w->state == APP_IDLE || w->state == APP_BUSY))
			return true;
	return false;
}

size_t app_count(const struct app *a)
{
	size_t count = a->starting;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		count += w->state != APP_LEAVES && w->generation == a->generation;
	return count;
}

size_t app_count_loading(const struct app *a)
{
	size_t count = a->starting;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		count += w->state == APP_LOADS;
	return count;
}

static struct timespec time_of(uint64_t clock)
{
	return (struct timespec){
	    .tv_sec = (time_t)(clock / SECOND), .tv_nsec = (long)(clock % SECOND)};
}

/* With the lock held. 0 with *w; -1 with *e. */
static int wait_for_worker(
    struct app_pool *p, struct app *a, struct app_worker_entry **w, bool *force, struct error *e)
{
	uint64_t deadline = request_clock() + a->settings.limits.timeout * SECOND;
	struct timespec until = time_of(deadline);
	unsigned failures = a->failures;

	for (;;) {
		bool old_will_do = !a->settings.strict && a->refused == a->generation && has_old(a);

		*w = youngest_idle(a, false);
		if (*w != NULL)
			return 0;
		if (old_will_do && (a->failures != failures || request_clock() < a->retry_at)) {
			*w = youngest_idle(a, true);
			if (*w != NULL) {
				*force = (*w)->accepted != a->generation;
				(*w)->accepted = a->generation;
				return 0;
			}
		} else if (a->failures != failures) {
			return error_set(e, "%s does not load: %s", a->name, a->error);
		} else if (app_count(a) < a->settings.limits.workers &&
			   app_count_loading(a) < a->waiting) {
			app_start(p, a);
			continue;
		}
		if (request_clock() >= deadline)
			return error_set(e, "no app worker of %s came to be free", a->name);
		pthread_cond_timedwait(&a->changed, &p->lock, &until);
	}
}

void app_enter(struct app_worker_entry *w, enum app_state state)
{
	w->state = state;
	w->since = request_clock();
}

/* Lets go of the descriptors, so whoever calls this must not watch them any more. */
void app_remove(struct app_pool *p, struct app_worker_entry *w)
{
	struct app *a = w->app;
	struct app_worker_entry **at = &a->workers;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (w->slot != NULL) {
		a->requests += atomic_load(&w->slot->requests);
		a->failures_answered += atomic_load(&w->slot->failures);
		munmap(w->slot, sizeof(*w->slot));
	}
	request_process_release(&w->process);
	fd_close(&w->notices);
	run_errors_end(&w->errors);
	buffer_release(&w->errors.kept);
	free(w);
	app_keep_enough(p, a);
	pthread_cond_broadcast(&a->changed);
}

bool app_is_ending(const struct app_pool *p, const struct app *a)
{
	return p->stopping || (a->sockets != NULL && p->serving_ends);
}

/* One after another where the front brings the requests, all at once where they wait in the socket. */
void app_keep_enough(struct app_pool *p, struct app *a)
{
	const struct limits *limits = &a->settings.limits;
	size_t wanted = a->sockets != NULL || limits->workers < limits->min_workers
			    ? limits->workers
			    : limits->min_workers;

	if (app_is_ending(p, a) || a->refused == a->generation || request_clock() < a->hold_until ||
	    (a->sockets == NULL && app_count_loading(a) > 0))
		return;
	for (size_t count = app_count(a); count < wanted; count++) {
		app_start_ahead(p, a);
		if (a->sockets == NULL)
			break;
	}
}

static bool is_outdated(const struct app *a, const struct app_worker_entry *w)
{
	return w->generation != a->generation &&
	       (a->settings.strict || youngest_idle(a, false) != NULL);
}

void app_pool_give_back(struct app_pool *p, struct app_worker_entry *w, enum app_fate fate)
{
	struct app *a = w->app;

	pthread_mutex_lock(&p->lock);
	if (fate == APP_FATE_STALE &&
	    (w->generation == a->generation || w->accepted == a->generation))
		a->generation++;
	if (fate == APP_FATE_DEAD) {
		app_remove(p, w);
	} else {
		app_watch(p, w);
		app_enter(w, APP_IDLE);
		if (fate == APP_FATE_ENDS) {
			app_enter(w, APP_LEAVES);
			run_end_init(&w->end, &w->process, request_clock() + 5 * SECOND);
			app_keep_enough(p, a);
		} else if (p->stopping || is_outdated(a, w)) {
			app_dismiss(w);
		}
	}
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&p->lock);
}

static void renew(struct app_pool *p, struct app *a)
{
	a->generation++;
	if (a->sockets != NULL)
		app_keep_enough(p, a);
}

void app_pool_renew(struct app_pool *p, const struct config *config)
{
	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next) {
		if (a->sockets != NULL && config != NULL)
			app_take_settings(p, a, config);
		renew(p, a);
	}
	pthread_mutex_unlock(&p->lock);
}
