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
	a->files.folder = a->notify = -1;
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
		count += w->state == APP_LOADS && w->version == a->version.number;
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

bool app_outdates(const struct app *a, const struct app_worker_entry *w)
{
	return w->version != a->version.number &&
	       (a->version.state == APP_VERSION_LOADED || app_has_loaded(a, true) ||
		   (a->settings.strict && !a->version.keeps_old));
}

static bool has_begun_any(const struct app *a)
{
	for (const struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->state != APP_LEAVES)
			return true;
	return a->starting > 0;
}

static bool has_older(const struct app *a)
{
	for (const struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->version != a->version.number && w->state != APP_LEAVES)
			return true;
	return false;
}

/*
 * Workers that were to be replaced because their files have changed must not answer again. Workers
 * of the present version may, and when they have loaded, so that requests do not wait for a second
 * load.
 */
void app_renew(struct app *a)
{
	size_t loaded = app_count_loaded(a);
	bool keeps_old = app_has_loaded(a, true) || app_version_is_refused(&a->version) ||
			 a->version.keeps_old || !has_older(a);

	app_step(
	    a, (struct app_version_event){.kind = APP_VERSION_RENEWED, .keeps_old = keeps_old});
	/* Workers that only load are replaced as well: a template lives as long as its workers. */
	a->renewing = loaded == 0 && has_begun_any(a) ? 1 : loaded;
}
