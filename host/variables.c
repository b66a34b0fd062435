/*
 * An array of strings in the shape that environ(7) and execve(2) want. A request has about forty
 * variables, and the host looks for some thirty names: the first variables are found by a small hash
 * table, and only in a request with very many are the others searched from front to end.
 */
#include "variables.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PLACED 96 /* so many are in the table; places stay free, where a search ends */

/* Names of one length differ mostly in front, at the end or in the middle. */
static unsigned place_of(const char *name, size_t size)
{
	const unsigned char *s = (const unsigned char *)name;

	return size == 0 ? 0 : (unsigned)size + s[0] * 5U + s[size - 1] * 19U + s[size / 2] * 3U;
}

static bool is_at(const struct variables *v, size_t i, const char *name, size_t size)
{
	return v->names[i] == size && memcmp(v->items[i], name, size) == 0;
}

static size_t find(const struct variables *v, const char *name)
{
	size_t size = strlen(name);

	for (unsigned at = place_of(name, size);; at++) {
		unsigned place = v->places[at % VARIABLES_PLACES];

		if (place == 0)
			break;
		if (is_at(v, place - 1, name, size))
			return place - 1;
	}
	for (size_t i = PLACED; i < v->count; i++)
		if (is_at(v, i, name, size))
			return i;
	return v->count;
}

static void place(struct variables *v, size_t i)
{
	unsigned at = place_of(v->items[i], v->names[i]);

	if (i >= PLACED)
		return;
	while (v->places[at % VARIABLES_PLACES] != 0)
		at++;
	v->places[at % VARIABLES_PLACES] = (uint8_t)(i + 1);
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
	v->names[v->count] = (uint32_t)name;
	place(v, v->count++);
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

/* Take one out of the array; the table is not right until it is made anew. */
static void take_out(struct variables *v, size_t i)
{
	free_item(v, v->items[i]);
	memmove(v->items + i, v->items + i + 1, (v->count - i) * sizeof(*v->items));
	memmove(v->names + i, v->names + i + 1, (v->count - i - 1) * sizeof(*v->names));
	v->count--;
}

static void place_all(struct variables *v)
{
	memset(v->places, 0, sizeof(v->places));
	for (size_t i = 0; i < v->count && i < PLACED; i++)
		place(v, i);
}

void variables_remove(struct variables *v, const char *name)
{
	size_t i = find(v, name);

	if (i == v->count)
		return;
	take_out(v, i);
	place_all(v);
}

void variables_remove_prefix(struct variables *v, const char *prefix)
{
	size_t size = strlen(prefix), before = v->count;

	for (size_t i = v->count; i-- > 0;)
		if (v->items[i][0] == prefix[0] && strncmp(v->items[i], prefix, size) == 0)
			take_out(v, i);
	if (v->count < before)
		place_all(v);
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
