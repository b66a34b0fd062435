/* Two short lists of names, which are searched from end to end. */
#include "template/preload.h"

#include <stdlib.h>
#include <string.h>

static bool has(const struct config_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], name) == 0)
			return true;
	return false;
}

bool preload_is_of(const char *name, const char *language)
{
	size_t size = strlen(language);

	return strncmp(name, language, size) == 0 && name[size] == ':';
}

void preload_init(struct preload *p, const struct config_list *configured, const char *language)
{
	*p = (struct preload){0};
	for (size_t i = 0; i < configured->count; i++)
		if (preload_is_of(configured->items[i], language))
			config_list_append(&p->names, configured->items[i]);
	p->configured = p->names.count;
}

void preload_configure(
    struct preload *p, const struct config_list *configured, const char *language)
{
	struct preload next;

	preload_init(&next, configured, language);
	/* A refused module may be configured by name, but is not noticed again. */
	next.refused = p->refused;
	for (size_t i = p->configured; i < p->names.count; i++)
		preload_add_noticed(&next, p->names.items[i]);
	config_list_release(&p->names);
	*p = next;
}

bool preload_add_noticed(struct preload *p, const char *name)
{
	if (has(&p->names, name) || has(&p->refused, name))
		return false;
	return config_list_append(&p->names, name) == 0;
}

static void remove_at(struct preload *p, size_t i)
{
	free(p->names.items[i]);
	p->names.count--;
	memmove(p->names.items + i, p->names.items + i + 1,
	    (p->names.count - i) * sizeof(*p->names.items));
	if (i < p->configured)
		p->configured--;
}

bool preload_drop_noticed(struct preload *p)
{
	bool some = p->names.count > p->configured;

	while (p->names.count > p->configured)
		preload_refuse(p, p->names.items[p->names.count - 1]);
	return some;
}

void preload_refuse(struct preload *p, const char *name)
{
	/* `name` may be the very string that is removed: from here on it is the copy. */
	if (config_list_append(&p->refused, name) < 0)
		return;
	name = p->refused.items[p->refused.count - 1];
	for (size_t i = p->names.count; i-- > 0;)
		if (strcmp(p->names.items[i], name) == 0)
			remove_at(p, i);
}

void preload_release(struct preload *p)
{
	config_list_release(&p->names);
	config_list_release(&p->refused);
}
