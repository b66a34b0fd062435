/* Lists, and which limits and extension an extension has. */
#include "config/config.h"

#include "binding.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

int config_list_append(struct config_list *list, const char *value)
{
	char **items = realloc(list->items, (list->count + 1) * sizeof(*items));

	if (items == NULL)
		return -1;
	list->items = items;
	items[list->count] = strdup(value);
	return items[list->count++] == NULL ? -1 : 0;
}

void config_list_release(struct config_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct config_list){0};
}

bool config_list_same(const struct config_list *a, const struct config_list *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = strcmp(a->items[i], b->items[i]) == 0;
	return same;
}

int config_list_copy(struct config_list *to, const struct config_list *from)
{
	config_list_release(to);
	for (size_t i = 0; i < from->count; i++)
		if (config_list_append(to, from->items[i]) < 0)
			return -1;
	return 0;
}

static void override_limits(const struct config_section *section, struct limits *limits)
{
	const uint64_t *from = (const uint64_t *)&section->limits;
	uint64_t *to = (uint64_t *)limits;

	for (size_t n = 0; n < sizeof(*limits) / sizeof(uint64_t); n++)
		if ((section->given & 1U << n) != 0)
			to[n] = from[n];
}

static void override_text(char **to, char *from)
{
	if (from != NULL)
		*to = from;
}

static void override_extension_settings(
    const struct config_section *section, struct extension_settings *extension)
{
	const struct extension_settings *from = &section->extension;

	override_text(&extension->mode, from->mode);
	override_text(&extension->reload, from->reload);
	override_text(&extension->static_content, from->static_content);
	for (size_t n = 0; n < LANGUAGE_SETTINGS_MAX; n++)
		override_text(&extension->languages[n], from->languages[n]);
}

void config_override(const struct config_section *section, struct limits *limits,
    struct extension_settings *extension)
{
	override_limits(section, limits);
	override_extension_settings(section, extension);
}

void config_limits(const struct config *config, const char *name, struct limits *limits)
{
	*limits = config->limits;
	for (size_t i = 0; i < config->section_count; i++)
		if (fnmatch(config->sections[i].pattern, name, FNM_PERIOD) == 0)
			override_limits(&config->sections[i], limits);
}

void config_extension_settings(
    const struct config *config, const char *name, struct extension_settings *extension)
{
	*extension = config->extension;
	for (size_t i = 0; i < config->section_count; i++)
		if (fnmatch(config->sections[i].pattern, name, FNM_PERIOD) == 0)
			override_extension_settings(&config->sections[i], extension);
}

char *const *config_language_values(
    const struct extension_settings *extension, const struct binding *binding)
{
	const struct binding *const *at = extension->bindings;
	size_t first = 0;

	for (; at != NULL && *at != NULL; at++) {
		if (*at == binding)
			return extension->languages + first;
		first += (*at)->setting_count;
	}
	return NULL;
}

void config_release_language_values(struct extension_settings *extension)
{
	for (size_t n = 0; n < LANGUAGE_SETTINGS_MAX; n++) {
		free(extension->languages[n]);
		extension->languages[n] = NULL;
	}
}

const struct config_app *config_find_app(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->app_count; i++)
		if (strcmp(config->apps[i].name, name) == 0)
			return &config->apps[i];
	return NULL;
}

uint64_t config_largest_body(const struct config *config)
{
	uint64_t most = config->limits.max_body;

	for (size_t i = 0; i < config->section_count; i++)
		if (config->sections[i].limits.max_body > most)
			most = config->sections[i].limits.max_body;
	return most;
}
