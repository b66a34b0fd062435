/*
 * An array of strings in the shape that environ(7) and execve(2) want, searched from front to end:
 * a request has about forty variables, and each is looked at a few times.
 */
#include "variables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t find(const struct variables *v, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < v->count; i++)
		if (strncmp(v->items[i], name, size) == 0 && v->items[i][size] == '=')
			return i;
	return v->count;
}

const char *variables_get(const struct variables *v, const char *name)
{
	size_t i = find(v, name);

	return i < v->count ? v->items[i] + strlen(name) + 1 : NULL;
}

const char *variables_text(const struct variables *v, const char *name)
{
	const char *value = variables_get(v, name);

	return value != NULL ? value : "";
}

/* Take over an allocated "NAME=value"; NULL means that memory was out. */
static int put(struct variables *v, char *item)
{
	if (item == NULL)
		return -1;
	if (v->count + 2 > v->capacity) {
		size_t capacity = v->capacity > 0 ? v->capacity * 2 : 64;
		char **items = realloc(v->items, capacity * sizeof(*items));

		if (items == NULL) {
			free(item);
			return -1;
		}
		v->items = items;
		v->capacity = capacity;
	}
	v->items[v->count++] = item;
	v->items[v->count] = NULL;
	return 0;
}

int variables_set(struct variables *v, const char *name, const char *value)
{
	size_t i = find(v, name);
	char *item;

	if (asprintf(&item, "%s=%s", name, value) < 0)
		return -1;
	if (i == v->count)
		return put(v, item);
	free(v->items[i]);
	v->items[i] = item;
	return 0;
}

int variables_default(struct variables *v, const char *name, const char *value)
{
	const char *have = variables_get(v, name);

	return have != NULL && have[0] != '\0' ? 0 : variables_set(v, name, value);
}

int variables_add(struct variables *v, const char *item)
{
	return put(v, strdup(item));
}

int variables_take(struct variables *v, char *item)
{
	return put(v, item);
}

static void remove_at(struct variables *v, size_t i)
{
	free(v->items[i]);
	memmove(v->items + i, v->items + i + 1, (v->count - i) * sizeof(*v->items));
	v->count--;
}

void variables_remove(struct variables *v, const char *name)
{
	size_t i = find(v, name);

	if (i < v->count)
		remove_at(v, i);
}

void variables_remove_prefix(struct variables *v, const char *prefix)
{
	size_t size = strlen(prefix);

	for (size_t i = v->count; i-- > 0;)
		if (strncmp(v->items[i], prefix, size) == 0)
			remove_at(v, i);
}

void variables_release(struct variables *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct variables){0};
}
