/*
 * How an app worker begins: a spare request process of the language gets the order to load the app.
 * The script is found and opened by its name again, by the rules of every request, since the file
 * that a request has opened may be older than the change for which the app is loaded.
 */
#include "pool/pool_supply.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "binding.h"
#include "config/config_share.h"
#include "ipc/load_order.h"
#include "ipc/run_channel.h"
#include "ipc/scoreboard.h"
#include "pool/pool_app.h"
#include "pool/pool_files.h"
#include "pool/pool_setup.h"
#include "pool/pool_sockets.h"
#include "pool/pool_worker.h"
#include "request/route.h"
#include "request/script.h"
#include "run/spares.h"
#include "worker/app_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define SPARE_TRIES 300 /* more than there are spares: all may have died with their template */

/* What is needed while the lock is not held. */
struct start {
	struct app_pool *pool;
	struct app *app;
	struct app_settings settings;
	unsigned version;
	uint64_t settled_at;
	int64_t began;
	char *name;
	bool ready;   /* the settings are copied */
	bool refused; /* the app cannot be loaded; else the worker cannot be started */
	struct process_handle process;
	struct scoreboard_slot *slot;
};

static void begin(struct start *s, struct app_pool *p, struct app *a)
{
	*s = (struct start){.pool = p,
	    .app = a,
	    .settings = a->settings,
	    .version = a->version.number,
	    .settled_at = a->version.settled_at,
	    .name = a->name};
	s->settings.extension = (struct extension_settings){0};
	s->settings.environment = (struct config_list){0};
	s->ready = app_settings_copy_extension(&s->settings, &a->settings.extension) >= 0 &&
		   config_list_copy(&s->settings.environment, &a->settings.environment) == 0;
	a->starting++;
	app_step(a, (struct app_version_event){.kind = APP_VERSION_BEGUN});
	sockets_tell_stand_in(p, a);
}

/* What the order has only for a direct worker; its texts are those of the configuration. */
static void describe_direct(
    const struct start *s, const struct config *config, struct load_order *order)
{
	const struct limits *limits = &s->settings.limits;
	const struct log *log = s->pool->setup->log;

	order->serves = true;
	order->name = s->name;
	order->prefix = s->app->sockets->prefix;
	order->tmpdir = config->tmpdir;
	order->allow_uid = config->allow_uid;
	order->allow_gid = config->allow_gid;
	order->allow_from = config->allow_from;
	order->log_json = log->json;
	order->log_level = log->least;
	order->max_connections = config->max_connections;
	order->max_header = config->max_header;
	order->max_body = limits->max_body;
	order->max_reply = limits->max_reply;
	order->reply_buffer = config->reply_buffer;
	order->timeout = limits->timeout;
	order->body_timeout = config->body_timeout;
}

/* The order to load, packed. NULL: no memory. */
static char **describe(const struct start *s)
{
	const struct app_pool_setup *setup = s->pool->setup;
	const struct app_settings *settings = &s->settings;
	struct load_order order = {.root = setup->root_path,
	    .rerun = settings->rerun,
	    .debug = settings->debug,
	    .validate = settings->validate,
	    .cpu = settings->limits.cpu,
	    .max_requests = settings->limits.max_requests,
	    .max_rss = settings->limits.max_rss,
	    .environment = settings->environment};
	const struct config *config;
	struct config_held *held;
	char **packed;

	if (s->app->sockets == NULL)
		return load_order_pack(&order);
	held = config_hold(setup->configs, &config);
	describe_direct(s, config, &order);
	packed = load_order_pack(&order);
	config_let_go(setup->configs, held);
	return packed;
}

static int order_load(struct start *s, int source, const char *script, struct error *e)
{
	const struct app_settings *settings = &s->settings;
	const struct binding *binding = s->pool->setup->bindings[settings->language];
	char **packed = describe(s);
	struct run_order order = {.kind = RUN_ORDER_LOAD,
	    .script = script,
	    .settings = config_language_values(&settings->extension, binding),
	    .setting_count = binding->setting_count,
	    .environment = packed,
	    .source = source,
	    .code = -1,
	    .body = -1,
	    .output = -1,
	    .limits = {.memory = settings->limits.memory,
		.cpu = UINT64_MAX, /* of the process; that of a request is in the load order */
		.processes = settings->limits.processes}};
	int result = packed != NULL ? run_order_send(s->process.channel, &order) : -1;

	if (result == 0 && s->app->sockets != NULL)
		result = sockets_send(s->pool, s->app, s->process.channel, &s->slot);
	load_order_free(packed);
	return result < 0 ? error_errno(e, "order to load") : 0;
}

/* No request has found out the language of an app with sockets of its own. */
static int find_language(struct start *s, const struct route *route, struct error *e)
{
	struct script_found found;

	if (s->app->sockets == NULL)
		return 0;
	if (scripts_find(s->pool->setup->scripts, s->name, route->file, &route->status, &found, e) <
	    0)
		return -1;
	fd_close(&found.code);
	s->settings.language = found.language;
	s->settings.rerun = s->settings.rerun || found.kind == SCRIPT_RERUN;
	return 0;
}

/*
 * A load that begins within a tick of its files' last change could not tell that state from one
 * before: whatever became of it, it would prove nothing.
 */
static void wait_for_rest(struct start *s)
{
	uint64_t at = s->settled_at, clock = clock_now();
	struct timespec wait;
	struct stat status;

	if (fstatat(s->pool->setup->root, s->name, &status, 0) == 0) {
		uint64_t script = clock + (uint64_t)app_file_settle(&status) * CLOCK_MILLISECOND;

		at = script > at ? script : at;
	}
	if (at > clock) {
		wait = (struct timespec){.tv_sec = (time_t)((at - clock) / CLOCK_SECOND),
		    .tv_nsec = (long)((at - clock) % CLOCK_SECOND)};
		nanosleep(&wait, NULL);
	}
	s->began = clock_real();
}

/* Without the lock. */
static int do_start(struct start *s, struct error *e)
{
	const struct app_pool_setup *setup = s->pool->setup;
	struct route route;
	char path[4096];
	int result = -1;

	wait_for_rest(s);
	snprintf(path, sizeof(path), "/%s", s->name);
	route_find(&route, setup->root, path, e);
	if (route.kind == ROUTE_STATIC)
		error_set(e, "%s is not executable (chmod +x)", s->name);
	if (path_join(path, sizeof(path), setup->root_path, s->name) < 0)
		error_set(e, "%s: the path is too long", s->name);
	else
		s->refused = route.kind != ROUTE_SCRIPT || find_language(s, &route, e) < 0;
	if (!s->refused)
		for (int tries = 0; result < 0 && tries < SPARE_TRIES; tries++) {
			if (spares_take(setup->spares, s->settings.language, &s->process, e) < 0)
				break;
			result = order_load(s, route.file, path, e);
			if (result < 0)
				process_handle_release(&s->process);
		}
	if (result == 0)
		spares_replace(setup->spares, s->settings.language);
	route_release(&route);
	return result;
}

static void add_script(struct app_files *files, const struct start *s)
{
	const struct timespec since = {.tv_sec = (time_t)(s->began / CLOCK_SECOND),
	    .tv_nsec = (long)(s->began % CLOCK_SECOND)};

	app_files_add(files, s->name, &since);
}

/* The script is gone, is not executable, or is of no language. */
static void refuse(struct start *s, const char *reason)
{
	struct app_files files = {.folder = s->pool->setup->root};

	add_script(&files, s);
	supply_refuse(s->pool, s->app,
	    &(struct app_refusal){.version = s->version,
		.began = s->began,
		.status = 503,
		.reason = reason,
		.files = &files});
	app_files_release(&files);
}

/* Nothing of the app was tried. Direct workers are started again at the next look (pool_watch). */
static void note_unstarted(struct start *s, const char *reason)
{
	struct app *a = s->app;

	log_message(s->pool->setup->log, LEVEL_ERROR, "%s: no app worker: %s", a->name, reason);
	app_step(a, (struct app_version_event){.kind = APP_VERSION_LOST, .number = s->version});
	a->unstarted++;
	if (a->error[0] == '\0')
		a->error_time = time(NULL);
	snprintf(a->error, sizeof(a->error), "%s", reason);
	pthread_cond_broadcast(&a->changed);
}

static void add_worker(struct start *s)
{
	struct app_worker_entry *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		process_handle_release(&s->process);
		note_unstarted(s, "out of memory");
		return;
	}
	fd_close(&s->process.output);
	w->app = s->app;
	w->id = ++s->pool->last_id;
	w->process = s->process;
	w->notices = -1;
	w->slot = s->slot;
	w->version = w->accepted = s->version;
	w->began = s->began;
	w->files.folder = s->pool->setup->root;
	add_script(&w->files, s);
	s->app->settings.language = s->settings.language;
	w->errors = (struct stderr_log){.log = s->pool->setup->log, .script = s->app->name};
	escalation_init(
	    &w->end, &w->process, clock_now() + s->settings.limits.timeout * CLOCK_SECOND);
	worker_enter(w, APP_LOADS);
	w->next = s->app->workers;
	s->app->workers = w;
	/*
	 * While it got its order a new template came, which found no worker to replace: this is
	 * one.
	 */
	if (w->process.template != spares_template(s->pool->setup->spares, s->settings.language) &&
	    w->version == s->app->version.number)
		app_renew(s->app);
	worker_watch(s->pool, w);
	if (app_is_ending(s->pool, s->app))
		worker_give_up(w);
	else if (w->version != s->app->version.number)
		supply_keep_enough(s->pool, s->app);
}

static void finish(struct start *s, int result, const struct error *e)
{
	s->app->starting--;
	if (result == 0)
		add_worker(s);
	else if (s->refused)
		refuse(s, e->message);
	else
		note_unstarted(s, e->message);
	config_release_language_values(&s->settings.extension);
	config_list_release(&s->settings.environment);
}

void supply_start(struct app_pool *p, struct app *a)
{
	struct error e = {"out of memory"};
	struct start s;
	int result;

	begin(&s, p, a);
	pthread_mutex_unlock(&p->lock);
	result = s.ready ? do_start(&s, &e) : -1;
	pthread_mutex_lock(&p->lock);
	finish(&s, result, &e);
}

static void *start_in_thread(void *argument)
{
	struct start *s = argument;
	struct error e = {"out of memory"};
	int result = s->ready ? do_start(s, &e) : -1;

	pthread_mutex_lock(&s->pool->lock);
	finish(s, result, &e);
	pthread_mutex_unlock(&s->pool->lock);
	free(s);
	return NULL;
}

void supply_start_ahead(struct app_pool *p, struct app *a)
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

static void keep_refusal(struct app_pool *p, struct app *a, const struct app_refusal *refusal)
{
	log_message(p->setup->log, LEVEL_ERROR, "%s does not load: %s", a->name, refusal->reason);
	if (a->error[0] == '\0')
		a->error_time = time(NULL);
	snprintf(a->error, sizeof(a->error), "%s", refusal->reason);
	a->output.size = 0;
	if (refusal->files != NULL)
		pool_files_take(p, a, refusal->files);
	sockets_resume_all(a);
	sockets_tell_stand_in(p, a);
}

void supply_refuse(struct app_pool *p, struct app *a, const struct app_refusal *refusal)
{
	const struct app_files *files = refusal->files;
	struct app_version_event failed = {
	    .kind = refusal->killed ? APP_VERSION_LOST : APP_VERSION_FAILED,
	    .number = refusal->version,
	    .killed = refusal->killed,
	    .changed = files != NULL && app_files_changed(files),
	    .settle = files != NULL ? app_files_settle(files) : 0,
	    .status = refusal->status,
	    .tried_at = refusal->began};

	if (app_step(a, failed) == APP_VERSION_GO_ON) {
		keep_refusal(p, a, refusal);
	} else {
		log_message(p->setup->log, LEVEL_WARNING,
		    "%s: a load has failed that does not count: %s%s", a->name, refusal->reason,
		    failed.changed ? "; a file has changed since it began" : "");
		supply_keep_enough(p, a);
	}
	pthread_cond_broadcast(&a->changed);
}

/* Closes the descriptors, so the caller must not watch them any more. */
void supply_remove(struct app_pool *p, struct app_worker_entry *w)
{
	struct app *a = w->app;
	struct app_worker_entry **at = &a->workers;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (w->slot != NULL) {
		a->requests += atomic_load(&w->slot->requests);
		a->failures_answered += atomic_load(&w->slot->failures);
		a->lost += atomic_load(&w->slot->lost);
		munmap(w->slot, sizeof(*w->slot));
	}
	process_handle_release(&w->process);
	fd_close(&w->notices);
	app_files_release(&w->files);
	stderr_log_end(&w->errors);
	buffer_release(&w->errors.kept);
	free(w);
	sockets_tell_stand_in(p, a);
	supply_keep_enough(p, a);
	pthread_cond_broadcast(&a->changed);
}

/*
 * As long as no load of this version has ended well, another may fail as well: one at a time. Later
 * ones are one at a time too if the front brings the requests, unless they replace others. An app
 * with sockets of its own has all of its workers started at once.
 */
static bool must_wait(const struct app *a)
{
	bool one = !app_is_proven(a) || (a->sockets == NULL && a->renewing == 0);

	return one && app_count_loading(a) > 0;
}

static size_t workers_wanted(const struct app *a)
{
	const struct limits *limits = &a->settings.limits;
	size_t least = limits->min_workers > a->renewing ? limits->min_workers : a->renewing;

	return a->sockets != NULL || limits->workers < least ? limits->workers : least;
}

void supply_keep_enough(struct app_pool *p, struct app *a)
{
	if (app_is_ending(p, a))
		return;
	for (size_t count = app_count(a); count < workers_wanted(a); count++) {
		pool_files_look(p, a);
		if (must_wait(a) || !app_version_may_start(&a->version, clock_now()))
			return;
		supply_start_ahead(p, a);
	}
	if (app_is_proven(a))
		a->renewing = 0;
}
