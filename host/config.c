/* Lists, and which limits and manners an extension has. */
#include "config.h"

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

void config_limits(const struct config *config, const char *name, struct limits *limits)
{
	uint64_t *to = (uint64_t *)limits;

	*limits = config->limits;
	for (size_t i = 0; i < config->section_count; i++) {
		const struct config_section *section = &config->sections[i];
		const uint64_t *from = (const uint64_t *)&section->limits;

		if (fnmatch(section->pattern, name, FNM_PERIOD) != 0)
			continue;
		for (size_t n = 0; n < sizeof(*limits) / sizeof(uint64_t); n++)
			if ((section->given & 1U << n) != 0)
				to[n] = from[n];
	}
}

void config_manners(const struct config *config, const char *name, struct manners *manners)
{
	char **to = (char **)manners;

	*manners = config->manners;
	for (size_t i = 0; i < config->section_count; i++) {
		const struct config_section *section = &config->sections[i];
		char *const *from = (char *const *)&section->manners;

		if (fnmatch(section->pattern, name, FNM_PERIOD) != 0)
			continue;
		for (size_t n = 0; n < sizeof(*manners) / sizeof(char *); n++)
			if (from[n] != NULL)
				to[n] = from[n];
	}
}

uint64_t config_largest_body(const struct config *config)
{
	uint64_t most = config->limits.max_body;

	for (size_t i = 0; i < config->section_count; i++)
		if (config->sections[i].limits.max_body > most)
			most = config->sections[i].limits.max_body;
	return most;
}
