/*
 * What a worker is told when it loads holds for its life; when that changes, so must the worker.
 * All else is looked up at each request.
 */
#include "pool/pool_app.h"

#include "base/clock.h"
#include "request/exchange.h"

#include <stdlib.h>
#include <string.h>

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

static bool is_loaded(const struct app_worker_entry *w)
{
	return w->state == APP_IDLE || w->state == APP_BUSY;
}

/* One that is loaded, of the present generation, or of another. */
bool app_has_loaded(const struct app *a, bool present)
{
	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (is_loaded(w) && (w->generation == a->generation) == present)
			return true;
	return false;
}

bool app_is_refused(const struct app *a)
{
	return a->refused == a->generation;
}

/* The idle one that was busy last: of the present generation, or of any. */
struct app_worker_entry *app_youngest_idle(const struct app *a, bool any)
{
	struct app_worker_entry *found = NULL;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->state == APP_IDLE && (any || w->generation == a->generation) &&
		    (found == NULL || w->since > found->since))
			found = w;
	return found;
}

bool app_old_will_do(const struct app *a)
{
	return app_has_loaded(a, false) &&
	       (a->renewed == a->generation || (app_is_refused(a) && !a->settings.strict));
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

void app_enter(struct app_worker_entry *w, enum app_state state)
{
	w->state = state;
	w->since = clock_now();
}

bool app_is_ending(const struct app_pool *p, const struct app *a)
{
	return p->stopping || (a->sockets != NULL && p->serving_ends);
}

/* A worker of this generation has loaded, so another will. */
bool app_is_proven(const struct app *a)
{
	for (const struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->generation == a->generation && w->state != APP_LOADS &&
		    w->state != APP_LEAVES)
			return true;
	return false;
}

/* What was refused before may have been other files. */
void app_begin_generation(struct app *a, int32_t settle)
{
	a->generation++;
	a->refusals = 0;
	a->settled_at = clock_now() + (uint64_t)(settle > 0 ? settle : 0) * CLOCK_MILLISECOND;
}

/* Whoever has been forked by an older template. */
void app_outdate(struct app *a)
{
	/* What has just been found changed stays so. */
	if (app_has_loaded(a, true) || app_is_refused(a) || a->renewed == a->generation ||
	    a->workers == NULL)
		a->renewed = a->generation + 1;
	a->generation++;
}

/* 1: another text than before; 0: the same; -1: no memory. */
static int set_text(char **place, const char *text)
{
	char *copy;

	if (*place != NULL && strcmp(*place, text) == 0)
		return 0;
	copy = strdup(text);
	if (copy == NULL)
		return -1;
	free(*place);
	*place = copy;
	return 1;
}

int app_copy_extension_settings(struct app_settings *to, const struct extension_settings *extension)
{
	int changed = 0;

	to->extension.bindings = extension->bindings;
	for (size_t i = 0; i < LANGUAGE_SETTINGS_MAX && extension->languages[i] != NULL; i++) {
		int result = set_text(&to->extension.languages[i], extension->languages[i]);

		if (result < 0)
			return -1;
		changed |= result;
	}
	return changed;
}

static bool loads_alike(const struct app_settings *a, const struct app_settings *b)
{
	return a->language == b->language && a->rerun == b->rerun && a->debug == b->debug &&
	       a->limits.memory == b->limits.memory && a->limits.cpu == b->limits.cpu &&
	       a->limits.processes == b->limits.processes &&
	       a->limits.max_requests == b->limits.max_requests &&
	       a->limits.max_rss == b->limits.max_rss;
}

int app_settings_take(struct app_settings *to, const struct exchange *x, bool *changed)
{
	const struct app_settings next = {.language = x->found.language,
	    .rerun = x->found.kind == SCRIPT_RERUN,
	    .debug = x->config->debug,
	    .strict = strcmp(x->extension.reload, "strict") == 0,
	    .limits = x->limits,
	    .extension = to->extension};
	bool alike = loads_alike(to, &next);
	int copied;

	*to = next;
	copied = app_copy_extension_settings(to, &x->extension);
	*changed = !alike || copied > 0;
	return copied < 0 ? -1 : 0;
}

int app_take_settings(struct app *a, const struct config *config)
{
	const struct config_app *section = config_find_app(config, a->sockets->section);
	uint64_t workers = a->settings.limits.workers;
	struct extension_settings extension;

	config_limits(config, a->name, &a->settings.limits);
	config_extension_settings(config, a->name, &extension);
	if (section != NULL)
		config_override(&section->own, &a->settings.limits, &extension);
	a->settings.limits.workers = workers;
	a->settings.debug = config->debug;
	a->settings.strict = strcmp(extension.reload, "strict") == 0;
	a->settings.rerun = strcmp(extension.mode, "rerun") == 0;
	/* Which language it is, is found out when it is started: both are kept till then. */
	return app_copy_extension_settings(&a->settings, &extension) < 0 ? -1 : 0;
}
