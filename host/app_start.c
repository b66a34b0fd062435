/*
 * How an app worker begins: a spare request process of the language gets the order to load the app.
 * The script is found and opened by its name again, by the rules of every request, since the one
 * that a request has opened may be older than what made the app change.
 */
#include "app.h"

#include "app_pool.h"
#include "binding.h"
#include "error.h"
#include "fd.h"
#include "log.h"
#include "request.h"
#include "route.h"
#include "run_channel.h"
#include "spares.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SPARE_TRIES 8
#define SECOND 1000000000ULL
#define RETRY (2 * SECOND) /* until an app that did not load is tried again, though unchanged */

/* What is needed while the lock is not held. */
struct start {
	struct app_pool *pool;
	struct app *app;
	struct app_settings settings;
	unsigned generation;
	char *name;
	struct request_process process;
};

static void begin(struct start *s, struct app_pool *p, struct app *a)
{
	*s = (struct start){.pool = p,
	    .app = a,
	    .settings = a->settings,
	    .generation = a->generation,
	    .name = a->name};
	s->settings.path = strdup(a->settings.path);
	s->settings.venv = strdup(a->settings.venv);
	a->starting++;
}

static int order_load(struct start *s, int source, const char *script, struct error *e)
{
	const struct app_settings *settings = &s->settings;
	char *root = NULL, *path = NULL, *venv = NULL;
	int result = -1;

	if (asprintf(&root, "root=%s", s->pool->setup->root_path) > 0 &&
	    asprintf(&path, "path=%s", settings->path) > 0 &&
	    asprintf(&venv, "venv=%s", settings->venv) > 0) {
		char *texts[] = {root, path, venv, NULL};
		const struct run_order order = {.kind = RUN_ORDER_LOAD,
		    .script = script,
		    .environment = texts,
		    .source = source,
		    .code = -1,
		    .body = -1,
		    .output = -1,
		    .limits = {.memory = settings->limits.memory,
			.cpu = settings->limits.cpu,
			.processes = settings->limits.processes},
		    .app = {.rerun = settings->rerun,
			.debug = settings->debug,
			.max_requests = settings->limits.max_requests,
			.max_rss = settings->limits.max_rss}};

		result = run_order_send(s->process.channel, &order);
	}
	if (result < 0)
		error_errno(e, "order to load");
	free(root);
	free(path);
	free(venv);
	return result;
}

/* Without the lock. */
static int do_start(struct start *s, struct error *e)
{
	const struct app_pool_setup *setup = s->pool->setup;
	struct route route;
	char path[4096];
	int result = -1;

	snprintf(path, sizeof(path), "/%s", s->name);
	route_find(&route, setup->root, path, e);
	if (route.kind == ROUTE_STATIC)
		error_set(e, "%s is not executable", s->name);
	snprintf(path, sizeof(path), "%s/%s",
	    strcmp(setup->root_path, "/") == 0 ? "" : setup->root_path, s->name);
	for (int tries = 0; route.kind == ROUTE_SCRIPT && result < 0 && tries < SPARE_TRIES;
	     tries++) {
		if (spares_take(setup->spares, s->settings.language, &s->process, e) < 0)
			break;
		result = order_load(s, route.file, path, e);
		if (result < 0)
			request_process_release(&s->process);
	}
	if (result == 0)
		spares_replace(setup->spares, s->settings.language);
	route_release(&route);
	return result;
}

static void add_worker(struct start *s)
{
	struct app_worker_entry *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		request_process_release(&s->process);
		app_refuse(s->pool, s->app, s->generation, "out of memory");
		return;
	}
	fd_close(&s->process.output);
	w->app = s->app;
	w->id = ++s->pool->last_id;
	w->process = s->process;
	w->notices = -1;
	w->generation = s->generation;
	w->errors = (struct run_errors){.log = s->pool->setup->log, .script = s->app->name};
	run_end_init(&w->end, &w->process, request_clock() + s->settings.limits.timeout * SECOND);
	app_enter(w, APP_LOADS);
	w->next = s->app->workers;
	s->app->workers = w;
	app_watch(s->pool, w);
}

static void finish(struct start *s, int result, const struct error *e)
{
	s->app->starting--;
	if (result == 0)
		add_worker(s);
	else
		app_refuse(s->pool, s->app, s->generation, e->message);
	free(s->settings.path);
	free(s->settings.venv);
}

void app_start(struct app_pool *p, struct app *a)
{
	struct error e = {"out of memory"};
	struct start s;
	int result;

	begin(&s, p, a);
	pthread_mutex_unlock(&p->lock);
	result = s.settings.path != NULL && s.settings.venv != NULL ? do_start(&s, &e) : -1;
	pthread_mutex_lock(&p->lock);
	finish(&s, result, &e);
}

static void *start_in_thread(void *argument)
{
	struct start *s = argument;
	struct error e = {"out of memory"};
	int result = s->settings.path != NULL && s->settings.venv != NULL ? do_start(s, &e) : -1;

	pthread_mutex_lock(&s->pool->lock);
	finish(s, result, &e);
	pthread_mutex_unlock(&s->pool->lock);
	free(s);
	return NULL;
}

void app_start_ahead(struct app_pool *p, struct app *a)
{
	struct start *s = malloc(sizeof(*s));
	pthread_attr_t attributes;
	pthread_t thread;

	if (s == NULL)
		return;
	begin(s, p, a);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, start_in_thread, s) != 0) {
		finish(s, -1, &(struct error){"no thread"});
		free(s);
	}
	pthread_attr_destroy(&attributes);
}

void app_refuse(struct app_pool *p, struct app *a, unsigned generation, const char *reason)
{
	a->failures++;
	a->refused = generation;
	a->retry_at = request_clock() + RETRY;
	snprintf(a->error, sizeof(a->error), "%s", reason);
	a->error_time = time(NULL);
	log_message(p->setup->log, LEVEL_ERROR, "%s does not load: %s", a->name, reason);
	pthread_cond_broadcast(&a->changed);
}
