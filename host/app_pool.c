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
#include "binding.h"
#include "error.h"
#include "fd.h"
#include "option.h"
#include "request.h"
#include "route.h"
#include "run.h"
#include "spares.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000000ULL

static struct app *find(struct app_pool *p, const struct run_job *job);
static int wait_for_worker(
    struct app_pool *p, struct app *a, struct app_worker_entry **w, bool *force, struct error *e);
static void keep_enough(struct app_pool *p, struct app *a);

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

int app_pool_take(struct app_pool *p, const struct run_job *job, struct app_taken *taken,
    struct buffer *output, struct error *e)
{
	struct app_worker_entry *w = NULL;
	struct app *a;
	int result = -1;

	*taken = (struct app_taken){0};
	pthread_mutex_lock(&p->lock);
	a = find(p, job);
	if (a == NULL || (!p->started && app_watch_start(p) < 0)) {
		error_set(e, "out of memory");
	} else {
		p->started = true;
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

static int take_settings(struct app_pool *p, struct app *a, const struct run_job *job)
{
	struct app_settings *to = &a->settings;
	const char *language = p->setup->bindings[job->found->language]->name;

	if (set_text(&to->path, option_manner(job->manners, language, "path")) < 0 ||
	    set_text(&to->venv, option_manner(job->manners, language, "venv")) < 0)
		return -1;
	to->language = job->found->language;
	to->rerun = job->found->kind == SCRIPT_RERUN;
	to->debug = job->debug;
	to->strict = strcmp(job->manners->reload, "strict") == 0;
	to->limits = *job->limits;
	return 0;
}

static struct app *find(struct app_pool *p, const struct run_job *job)
{
	struct app *a = p->apps;
	bool changed;

	while (a != NULL && strcmp(a->name, job->route->name) != 0)
		a = a->next;
	if (a == NULL) {
		pthread_condattr_t monotonic;

		a = calloc(1, sizeof(*a));
		if (a == NULL || (a->name = strdup(job->route->name)) == NULL) {
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
	}
	changed = a->settings.path != NULL &&
		  (a->settings.language != job->found->language ||
		      a->settings.rerun != (job->found->kind == SCRIPT_RERUN));
	if (take_settings(p, a, job) < 0)
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

static size_t count_loading(const struct app *a)
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
			   count_loading(a) < a->waiting) {
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
	request_process_release(&w->process);
	fd_close(&w->notices);
	run_errors_end(&w->errors);
	buffer_release(&w->errors.kept);
	free(w);
	keep_enough(p, a);
	pthread_cond_broadcast(&a->changed);
}

/* One at a time, and none while it would not load. */
static void keep_enough(struct app_pool *p, struct app *a)
{
	if (!p->stopping && a->refused != a->generation && count_loading(a) == 0 &&
	    app_count(a) < a->settings.limits.min_workers &&
	    app_count(a) < a->settings.limits.workers)
		app_start_ahead(p, a);
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
			keep_enough(p, a);
		} else if (p->stopping || is_outdated(a, w)) {
			app_dismiss(w);
		}
	}
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&p->lock);
}

void app_pool_renew(struct app_pool *p)
{
	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next)
		a->generation++;
	pthread_mutex_unlock(&p->lock);
}

struct app_report *app_pool_list(struct app_pool *p, size_t *count)
{
	struct app_report *list = NULL;
	size_t n = 0;

	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next)
		n++;
	list = n > 0 ? calloc(n, sizeof(*list)) : NULL;
	*count = list != NULL ? n : 0;
	n = 0;
	for (struct app *a = p->apps; list != NULL && a != NULL; a = a->next) {
		struct app_report *r = &list[n++];

		snprintf(r->name, sizeof(r->name), "%s", a->name);
		snprintf(r->error, sizeof(r->error), "%s", a->error);
		r->error_time = a->error_time;
		r->loads = a->loads;
		r->loading = count_loading(a);
		for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next) {
			r->idle += w->state == APP_IDLE;
			r->busy += w->state == APP_BUSY;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return list;
}

static bool has_workers(struct app_pool *p)
{
	bool any = false;

	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next)
		any = any || a->workers != NULL || a->starting > 0;
	pthread_mutex_unlock(&p->lock);
	return any;
}

void app_pool_stop(struct app_pool *p, uint64_t deadline)
{
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	for (struct app *a = p->apps; a != NULL; a = a->next)
		for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
			if (w->state == APP_IDLE)
				app_dismiss(w);
	pthread_mutex_unlock(&p->lock);
	while (has_workers(p) && request_clock() < deadline)
		poll(NULL, 0, 5);
}
