#include "pool/pool_app.h"

#include "base/clock.h"
#include "pool/pool_worker.h"

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
	a->version = app_version_first(false);
	a->next = p->apps;
	p->apps = a;
	return a;
}

static bool is_loaded(const struct app_worker_entry *w)
{
	return w->state == APP_IDLE || w->state == APP_BUSY;
}

bool app_has_loaded(const struct app *a, bool present)
{
	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (is_loaded(w) && (w->version == a->version.number) == present)
			return true;
	return false;
}

struct app_worker_entry *app_youngest_idle(const struct app *a, bool any)
{
	struct app_worker_entry *found = NULL;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->state == APP_IDLE && (any || w->version == a->version.number) &&
		    (found == NULL || w->since > found->since))
			found = w;
	return found;
}

bool app_old_will_do(const struct app *a)
{
	return app_has_loaded(a, false) &&
	       (a->version.keeps_old ||
		   (app_version_is_refused(&a->version) && !a->settings.strict));
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
		count += w->state != APP_LEAVES && w->version == a->version.number;
	return count;
}

size_t app_count_loading(const struct app *a)
{
	size_t count = a->starting;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		count += w->state == APP_LOADS;
	return count;
}

bool app_is_ending(const struct app_pool *p, const struct app *a)
{
	return p->stopping || (a->sockets != NULL && p->serving_ends);
}

bool app_is_proven(const struct app *a)
{
	for (const struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->version == a->version.number && w->state != APP_LOADS &&
		    w->state != APP_LEAVES)
			return true;
	return false;
}

enum app_version_action app_step(struct app *a, struct app_version_event event)
{
	event.now = clock_now();
	return app_version_step(&a->version, &event);
}

/* Workers that were to be replaced because their files have changed must not answer again. */
void app_renew(struct app *a)
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
	       a->validate == b->validate && a->limits.memory == b->limits.memory &&
	       a->limits.cpu == b->limits.cpu && a->limits.processes == b->limits.processes &&
	       a->limits.max_requests == b->limits.max_requests &&
	       a->limits.max_rss == b->limits.max_rss;
}

int app_settings_take(struct app_settings *to, const struct exchange *x, bool *changed)
{
	const struct app_settings next = {.language = x->found.language,
	    .rerun = x->found.kind == SCRIPT_RERUN,
	    .debug = x->config->debug,
	    .validate = x->config->validate,
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
	a->settings.validate = config->validate;
	a->settings.strict = strcmp(extension.reload, "strict") == 0;
	a->settings.rerun = strcmp(extension.mode, "rerun") == 0;
	/* Which language it is, is found out when it is started: both are kept till then. */
	return app_copy_extension_settings(&a->settings, &extension) < 0 ? -1 : 0;
}
