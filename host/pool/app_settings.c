/*
 * The settings in a worker's order to load hold for its life; when they change, the worker must be
 * replaced. All others are looked up at each request.
 */
#include "pool/app_settings.h"

#include "config/environment.h"
#include "request/exchange.h"

#include <stdlib.h>
#include <string.h>

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

int app_settings_copy_extension(struct app_settings *to, const struct extension_settings *extension)
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
	    .extension = to->extension,
	    .environment = to->environment};
	bool alike = loads_alike(to, &next) && config_list_same(&to->environment, &x->environment);
	int copied;

	*to = next;
	copied = app_settings_copy_extension(to, &x->extension);
	if (!alike && config_list_copy(&to->environment, &x->environment) < 0)
		return -1;
	*changed = !alike || copied > 0;
	return copied < 0 ? -1 : 0;
}

int app_settings_read(
    struct app_settings *to, const struct config *config, const char *script, const char *section)
{
	const struct config_app *app = config_find_app(config, section);
	uint64_t workers = to->limits.workers;
	struct extension_settings extension;

	config_limits(config, script, &to->limits);
	config_extension_settings(config, script, &extension);
	if (app != NULL)
		config_override(&app->own, &to->limits, &extension);
	to->limits.workers = workers;
	to->debug = config->debug;
	to->validate = config->validate;
	to->strict = strcmp(extension.reload, "strict") == 0;
	to->rerun = strcmp(extension.mode, "rerun") == 0;
	config_list_release(&to->environment);
	if (environment_find(config, script, app != NULL ? &app->own : NULL, &to->environment) < 0)
		return -1;
	/* The language is found when a worker starts, so the settings of all are kept. */
	return app_settings_copy_extension(to, &extension) < 0 ? -1 : 0;
}
