/*
 * An array of strings in the shape that environ(7) and execve(2) want, searched from front to end:
 * a request has about forty variables, and each is looked at a few times.
 */
#include "variables.h"

#include <stdlib.h>
#include <string.h>

static size_t find(const struct variables *v, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < v->count; i++)
		if (v->names[i] == size && memcmp(v->items[i], name, size) == 0)
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

static void free_item(const struct variables *v, char *item)
{
	uintptr_t at = (uintptr_t)item, block = (uintptr_t)v->block;

	if (v->block == NULL || at < block || at >= block + v->block_size)
		free(item);
}

void variables_take_block(struct variables *v, void *block, size_t size)
{
	v->block = block;
	v->block_size = size;
}

static int grow(struct variables *v)
{
	size_t capacity = v->capacity > 0 ? v->capacity * 2 : 64;
	char **items = realloc(v->items, capacity * sizeof(*items));
	uint32_t *names = realloc(v->names, capacity * sizeof(*names));

	if (items != NULL)
		v->items = items;
	if (names != NULL)
		v->names = names;
	if (items == NULL || names == NULL)
		return -1;
	v->capacity = capacity;
	return 0;
}

/* Take over an allocated "NAME=value"; NULL means that memory was out. */
static int put(struct variables *v, char *item, size_t name)
{
	if (item == NULL || (v->count + 2 > v->capacity && grow(v) < 0)) {
		free_item(v, item);
		return -1;
	}
	v->items[v->count] = item;
	v->names[v->count++] = (uint32_t)name;
	v->items[v->count] = NULL;
	return 0;
}

int variables_set(struct variables *v, const char *name, const char *value)
{
	size_t i = find(v, name);
	size_t name_size = strlen(name), value_size = strlen(value);
	char *item = malloc(name_size + value_size + 2);

	if (item == NULL)
		return -1;
	memcpy(item, name, name_size);
	item[name_size] = '=';
	memcpy(item + name_size + 1, value, value_size + 1);
	if (i == v->count)
		return put(v, item, name_size);
	free_item(v, v->items[i]);
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
	return put(v, strdup(item), strcspn(item, "="));
}

int variables_take(struct variables *v, char *item, size_t name)
{
	return put(v, item, name);
}

static void remove_at(struct variables *v, size_t i)
{
	free_item(v, v->items[i]);
	memmove(v->items + i, v->items + i + 1, (v->count - i) * sizeof(*v->items));
	memmove(v->names + i, v->names + i + 1, (v->count - i - 1) * sizeof(*v->names));
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
		free_item(v, v->items[i]);
	free(v->items);
	free(v->names);
	free(v->block);
	*v = (struct variables){0};
}
