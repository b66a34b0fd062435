/*
 * Which worker gets a request. All workers of an app are in one list; a request takes the idle
 * worker that was busy last, so that surplus workers stay idle and end.
 *
 * An app has a present version (app_version.h); another begins when a worker finds its files
 * changed. From then on only a worker of the new version may answer: the first request starts one
 * and waits for it, and requests in progress finish with the workers they have. If the version does
 * not load, the old workers serve on (unless reload = strict) until the files change again. A load
 * is tried again beside them every two seconds, since the fault may have been in a file that is not
 * known to belong to the app.
 *
 * A new template begins a version too. No file of the app has changed then, so the old workers
 * serve until they are replaced.
 */
#include "pool/app_pool.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "binding.h"
#include "ipc/scoreboard.h"
#include "pool/pool_app.h"
#include "pool/pool_files.h"
#include "pool/pool_sockets.h"
#include "pool/pool_supply.h"
#include "pool/pool_watch.h"
#include "pool/pool_worker.h"
#include "request/exchange.h"
#include "run/run.h"
#include "run/spares.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static struct app *find(struct app_pool *p, const struct exchange *x);
static int wait_for_worker(struct app_pool *p, struct app *a, struct app_worker_entry **w,
    int64_t *accept, struct error *e);

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

int app_pool_take(struct app_pool *p, const struct exchange *x, struct app_taken *taken,
    struct buffer *output, struct error *e)
{
	struct app_worker_entry *w = NULL;
	struct app *a;
	int result = 500;

	*taken = (struct app_taken){0};
	pthread_mutex_lock(&p->lock);
	a = find(p, x);
	if (a == NULL || pool_watch_start(p) < 0) {
		error_set(e, "out of memory");
	} else {
		a->waiting++;
		result = wait_for_worker(p, a, &w, &taken->accept, e);
		a->waiting--;
		if (result != 0)
			buffer_append(output, a->output.data, a->output.size);
	}
	if (w != NULL) {
		worker_unwatch(p, w);
		worker_enter(w, APP_BUSY);
		taken->worker = w;
		taken->process = &w->process;
		taken->notices = &w->notices;
	}
	pthread_mutex_unlock(&p->lock);
	return result;
}

static struct app *find(struct app_pool *p, const struct exchange *x)
{
	struct app *a = p->apps;
	bool changed;

	while (a != NULL && (a->sockets != NULL || strcmp(a->name, x->route.name) != 0))
		a = a->next;
	if (a == NULL)
		a = app_add(p, x->route.name);
	if (a == NULL || app_settings_take(&a->settings, x, &changed) < 0)
		return NULL;
	if (changed)
		app_step(a, (struct app_version_event){.kind = APP_VERSION_RESET});
	return a;
}

/* True if a waiting request should start a worker. */
static bool wants_start(const struct app *a)
{
	if (app_count(a) >= a->settings.limits.workers ||
	    (a->version.state == APP_VERSION_REFUSED && clock_now() < a->version.retry_at))
		return false;
	/* Another load of a version may fail as the first one. */
	return app_count_loading(a) < (app_is_proven(a) ? a->waiting : 1);
}

/* An idle worker that the request may have; NULL: none. */
static struct app_worker_entry *choose(struct app_pool *p, struct app *a, int64_t *accept)
{
	struct app_worker_entry *w = app_youngest_idle(a, false);

	if (w == NULL && a->version.state == APP_VERSION_REFUSED)
		pool_files_look(p, a);
	if (w != NULL || !app_old_will_do(a))
		return w;
	w = app_youngest_idle(a, true);
	if (w == NULL)
		return NULL;
	if (app_count_loading(a) == 0 && wants_start(a))
		supply_start_ahead(p, a);
	if (app_version_is_refused(&a->version) && !a->settings.strict &&
	    w->accepted != a->version.number) {
		w->accepted = a->version.number;
		*accept = a->version.tried_at;
	}
	return w;
}

/* What had failed when the wait of a request began. */
struct failures {
	unsigned refused, unstarted;
};

/*
 * No worker will come: the HTTP status with *e; else 0. A version that was refused before the
 * request came is loaded once more for it, unless that was only a moment ago.
 */
static int give_up(struct app *a, const struct failures *before, struct error *e)
{
	if (app_old_will_do(a) || app_has_loaded(a, true))
		return 0;
	if (a->unstarted != before->unstarted) {
		error_set(e, "%s: no app worker: %s", a->name, a->error);
		return 503;
	}
	if (a->version.state != APP_VERSION_REFUSED ||
	    (a->version.failures == before->refused &&
		app_step(a, (struct app_version_event){.kind = APP_VERSION_ASKED}) ==
		    APP_VERSION_START))
		return 0;
	error_set(e, "%s does not load: %s", a->name, a->error);
	return a->version.refused_status;
}

/* Wait for a worker, with the lock held. 0 with *w; else the HTTP status with *e. */
static int wait_for_worker(struct app_pool *p, struct app *a, struct app_worker_entry **w,
    int64_t *accept, struct error *e)
{
	const struct failures before = {a->version.failures, a->unstarted};
	uint64_t deadline = clock_now() + a->settings.limits.timeout * CLOCK_SECOND;

	while ((*w = choose(p, a, accept)) == NULL) {
		int status = give_up(a, &before, e);

		if (status != 0)
			return status;
		if (wants_start(a)) {
			if (!pool_files_look(p, a))
				supply_start(p, a);
			continue;
		}
		if (clock_now() >= deadline) {
			error_set(e, "longer than %llu s: no app worker came to be free",
			    (unsigned long long)a->settings.limits.timeout);
			return 504;
		}
		clock_wait(&a->changed, &p->lock, deadline);
	}
	return 0;
}

void app_pool_give_back(
    struct app_pool *p, struct app_worker_entry *w, enum app_fate fate, int32_t settle)
{
	struct app *a = w->app;

	pthread_mutex_lock(&p->lock);
	if (fate == APP_FATE_STALE)
		app_step(
		    a, (struct app_version_event){
			   .kind = APP_VERSION_CHANGED, .number = w->accepted, .settle = settle});
	if (fate == APP_FATE_DEAD) {
		supply_remove(p, w);
	} else {
		worker_watch(p, w);
		worker_enter(w, APP_IDLE);
		if (fate == APP_FATE_ENDS) {
			worker_enter(w, APP_LEAVES);
			escalation_init(&w->end, &w->process, clock_now() + 5 * CLOCK_SECOND);
			supply_keep_enough(p, a);
		} else if (p->stopping || app_outdates(a, w)) {
			worker_dismiss(w);
		}
	}
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&p->lock);
}

/* The lock is held throughout, so that a worker started in between comes from the new template. */
void app_pool_connect(struct app_pool *p, int language, int channel, const struct config *config)
{
	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next) {
		if (a->sockets != NULL)
			app_settings_read(&a->settings, config, a->name, a->sockets->section);
		if (a->settings.language == language && a->workers != NULL)
			app_renew(a);
	}
	spares_connect(p->setup->spares, language, channel);
	for (struct app *a = p->apps; a != NULL && !p->stopping; a = a->next)
		if (a->settings.language == language && a->workers != NULL)
			supply_keep_enough(p, a);
	pthread_mutex_unlock(&p->lock);
}

static void report_worker(struct app_report *r, const struct app_worker_entry *w)
{
	bool turn = w->slot != NULL && atomic_load(&w->slot->turn) % 2 == 1;

	r->idle += w->state == APP_IDLE || (w->state == APP_SERVES && !turn);
	r->busy += w->state == APP_BUSY || (w->state == APP_SERVES && turn);
	if (w->slot != NULL) {
		r->requests += atomic_load(&w->slot->requests);
		r->failures += atomic_load(&w->slot->failures);
		r->lost += atomic_load(&w->slot->lost);
	}
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
		r->serves = a->sockets != NULL;
		r->requests = a->requests;
		r->failures = a->failures_answered;
		r->lost = a->lost;
		r->loading = app_count_loading(a);
		for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
			report_worker(r, w);
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
				worker_dismiss(w);
			else if (w->state == APP_LOADS)
				worker_give_up(w);
	pthread_mutex_unlock(&p->lock);
	while (has_workers(p) && clock_now() < deadline)
		poll(NULL, 0, 5);
}

void app_pool_release(struct app_pool *p)
{
	if (p == NULL || p->started)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}
