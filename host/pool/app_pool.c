/*
 * Whose turn it is. All of one app's workers stand in one list; a request takes the idle one that
 * was busy last, so that those beyond need stay idle and end.
 *
 * An app's files have a generation, which counts up when a worker finds them changed. From then on
 * only a worker of the new generation will do, and the first request starts one and waits for it;
 * others go on with what they have. When the new one does not load, the old ones serve on (unless
 * that is not wanted) until the files change again, and it is tried again beside them every two
 * seconds, since what was wrong may have been in a file that nobody knows of.
 *
 * A new template, too, begins a generation: its workers know no file of the app to have changed, so
 * the old ones serve until they are replaced.
 */
#include "pool/app_pool.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "binding.h"
#include "ipc/scoreboard.h"
#include "pool/app.h"
#include "request/route.h"
#include "run/run.h"
#include "run/spares.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static struct app *find(struct app_pool *p, const struct run_job *job);
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
	int result = 500;

	*taken = (struct app_taken){0};
	pthread_mutex_lock(&p->lock);
	a = find(p, job);
	if (a == NULL || app_start_watching(p) < 0) {
		error_set(e, "out of memory");
	} else {
		a->waiting++;
		result = wait_for_worker(p, a, &w, &taken->accept, e);
		a->waiting--;
		if (result != 0)
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

struct app *app_add(struct app_pool *p, const char *name)
{
	struct app *a = calloc(1, sizeof(*a));

	if (a == NULL || (a->name = strdup(name)) == NULL) {
		free(a);
		return NULL;
	}
	clock_condition_init(&a->changed);
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
	if (a == NULL || app_settings_take(&a->settings, job, &changed) < 0)
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

static bool is_loaded(const struct app_worker_entry *w)
{
	return w->state == APP_IDLE || w->state == APP_BUSY;
}

/* One that is loaded, of the present generation, or of another. */
static bool has_loaded(const struct app *a, bool present)
{
	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (is_loaded(w) && (w->generation == a->generation) == present)
			return true;
	return false;
}

static bool is_refused(const struct app *a)
{
	return a->refused == a->generation;
}

static bool old_will_do(const struct app *a)
{
	return has_loaded(a, false) &&
	       (a->renewed == a->generation || (is_refused(a) && !a->settings.strict));
}

size_t app_count_loaded(const struct app *a)
{
	size_t count = 0;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		count += is_loaded(w);
	return count;
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

/* The present generation has failed to load since there were so many failures. */
static bool has_failed(const struct app *a, unsigned failures)
{
	return is_refused(a) && a->failures != failures;
}

/* Should whoever waits start another? `failures`: when he began to. */
static bool wants_start(const struct app *a, unsigned failures)
{
	if (app_count(a) >= a->settings.limits.workers)
		return false;
	if (is_refused(a) && old_will_do(a))
		return app_count_loading(a) == 0 && clock_now() >= a->retry_at;
	return !has_failed(a, failures) && app_count_loading(a) < a->waiting;
}

/* An idle one that the request may have. */
static struct app_worker_entry *choose(struct app_pool *p, struct app *a, int64_t *accept)
{
	struct app_worker_entry *w = youngest_idle(a, false);

	if (w != NULL || !old_will_do(a))
		return w;
	w = youngest_idle(a, true);
	if (w == NULL)
		return NULL;
	if (app_count_loading(a) == 0 && wants_start(a, a->failures))
		app_start_ahead(p, a);
	if (is_refused(a) && !a->settings.strict && w->accepted != a->generation) {
		w->accepted = a->generation;
		*accept = a->refused_at;
	}
	return w;
}

/* With the lock held. 0 with *w; else the HTTP status with *e. */
static int wait_for_worker(struct app_pool *p, struct app *a, struct app_worker_entry **w,
    int64_t *accept, struct error *e)
{
	uint64_t deadline = clock_now() + a->settings.limits.timeout * CLOCK_SECOND;
	unsigned failures = a->failures;

	while ((*w = choose(p, a, accept)) == NULL) {
		if (has_failed(a, failures) && !old_will_do(a) && !has_loaded(a, true)) {
			error_set(e, "%s does not load: %s", a->name, a->error);
			return a->refused_status;
		}
		if (wants_start(a, failures)) {
			app_start(p, a);
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

void app_enter(struct app_worker_entry *w, enum app_state state)
{
	w->state = state;
	w->since = clock_now();
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
	stderr_log_end(&w->errors);
	buffer_release(&w->errors.kept);
	free(w);
	app_tell_stand_in(p, a);
	app_keep_enough(p, a);
	pthread_cond_broadcast(&a->changed);
}

bool app_is_ending(const struct app_pool *p, const struct app *a)
{
	return p->stopping || (a->sockets != NULL && p->serving_ends);
}

/* A worker of this generation has loaded, so another will. */
static bool is_proven(const struct app *a)
{
	for (const struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->generation == a->generation && w->state != APP_LOADS &&
		    w->state != APP_LEAVES)
			return true;
	return false;
}

/*
 * One after another where the front brings the requests. Those that wait in a socket have all of
 * their workers started at once, when the first has shown that the app loads.
 */
void app_keep_enough(struct app_pool *p, struct app *a)
{
	const struct limits *limits = &a->settings.limits;
	bool one = a->sockets == NULL || !is_proven(a);
	size_t wanted = a->sockets != NULL || limits->workers < limits->min_workers
			    ? limits->workers
			    : limits->min_workers;

	if (app_is_ending(p, a) || is_refused(a) || clock_now() < a->hold_until ||
	    (one && app_count_loading(a) > 0))
		return;
	for (size_t count = app_count(a); count < wanted; count++) {
		app_start_ahead(p, a);
		if (one)
			break;
	}
}

/* Not needed any more, as there is a newer one, or because it must not answer. */
static bool is_outdated(const struct app *a, const struct app_worker_entry *w)
{
	return w->generation != a->generation &&
	       (has_loaded(a, true) || (a->settings.strict && a->renewed != a->generation));
}

/* What was refused before may have been other files. */
void app_begin_generation(struct app *a, int32_t settle)
{
	a->generation++;
	a->refusals = 0;
	a->settled_at = clock_now() + (uint64_t)(settle > 0 ? settle : 0) * CLOCK_MILLISECOND;
}

/* Its files have changed. If that is no news a new one is loading, and nothing else will do now. */
static void become_stale(struct app *a, const struct app_worker_entry *w, int32_t settle)
{
	if (w->generation == a->generation || w->accepted == a->generation)
		app_begin_generation(a, settle);
	else
		a->renewed = 0;
}

void app_pool_give_back(
    struct app_pool *p, struct app_worker_entry *w, enum app_fate fate, int32_t settle)
{
	struct app *a = w->app;

	pthread_mutex_lock(&p->lock);
	if (fate == APP_FATE_STALE)
		become_stale(a, w, settle);
	if (fate == APP_FATE_DEAD) {
		app_remove(p, w);
	} else {
		app_watch(p, w);
		app_enter(w, APP_IDLE);
		if (fate == APP_FATE_ENDS) {
			app_enter(w, APP_LEAVES);
			escalation_init(&w->end, &w->process, clock_now() + 5 * CLOCK_SECOND);
			app_keep_enough(p, a);
		} else if (p->stopping || is_outdated(a, w)) {
			app_dismiss(w);
		}
	}
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&p->lock);
}

/* Whoever has been forked by an older template. */
void app_outdate(struct app *a)
{
	/* What has just been found changed stays so. */
	if (has_loaded(a, true) || is_refused(a) || a->renewed == a->generation ||
	    a->workers == NULL)
		a->renewed = a->generation + 1;
	a->generation++;
}

/* As many as there are of the old ones. */
static void renew(struct app_pool *p, struct app *a)
{
	for (size_t count = app_count_loaded(a);
	     count > 0 && app_count(a) < a->settings.limits.workers; count--)
		app_start_ahead(p, a);
	app_keep_enough(p, a);
}

/* The lock is held throughout, so whoever starts a worker in between has the new template. */
void app_pool_connect(struct app_pool *p, int language, int channel, const struct config *config)
{
	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next) {
		if (a->sockets != NULL)
			app_take_settings(p, a, config);
		if (a->settings.language == language && a->workers != NULL)
			app_outdate(a);
	}
	spares_connect(p->setup->spares, language, channel);
	atomic_fetch_add(&p->templates[language], 1);
	for (struct app *a = p->apps; a != NULL && !p->stopping; a = a->next)
		if (a->settings.language == language && a->workers != NULL)
			renew(p, a);
	pthread_mutex_unlock(&p->lock);
}
