/*
 * An array of strings in the shape that environ(7) and execve(2) want. A request has about forty
 * variables, and the host looks for some thirty names: the first variables are found by a small
 * hash table, and only in a request with very many are the others searched from front to end. There
 * the names that came twice are found by sorting, as a client could make a larger hash table slow.
 */
#include "request/cgi_variables.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PLACED 96 /* so many are in the table; places stay free, where a search ends */

/* Names of one length differ mostly in front, at the end or in the middle. */
static unsigned place_of(const char *name, size_t size)
{
	const unsigned char *s = (const unsigned char *)name;

	return size == 0 ? 0 : (unsigned)size + s[0] * 5U + s[size - 1] * 19U + s[size / 2] * 3U;
}

static bool is_at(const struct cgi_variables *v, size_t i, const char *name, size_t size)
{
	return v->names[i] == size && memcmp(v->items[i], name, size) == 0;
}

/* Among those in the table. v->count: it is not there. */
static size_t find_placed(const struct cgi_variables *v, const char *name, size_t size)
{
	for (unsigned at = place_of(name, size);; at++) {
		unsigned taken = v->places[at % CGI_VARIABLES_PLACES];

		if (taken == 0)
			break;
		if (is_at(v, taken - 1, name, size))
			return taken - 1;
	}
	return v->count;
}

static size_t find(const struct cgi_variables *v, const char *name)
{
	size_t size = strlen(name);
	size_t found = find_placed(v, name, size);

	for (size_t i = PLACED; found == v->count && i < v->count; i++)
		if (is_at(v, i, name, size))
			found = i;
	return found;
}

static void place(struct cgi_variables *v, size_t i)
{
	unsigned at = place_of(v->items[i], v->names[i]);

	if (i >= PLACED)
		return;
	while (v->places[at % CGI_VARIABLES_PLACES] != 0)
		at++;
	v->places[at % CGI_VARIABLES_PLACES] = (uint8_t)(i + 1);
}

const char *cgi_variables_get(const struct cgi_variables *v, const char *name)
{
	size_t i = find(v, name);

	return i < v->count ? v->items[i] + strlen(name) + 1 : NULL;
}

const char *cgi_variables_text(const struct cgi_variables *v, const char *name)
{
	const char *value = cgi_variables_get(v, name);

	return value != NULL ? value : "";
}

static void free_item(const struct cgi_variables *v, char *item)
{
	uintptr_t at = (uintptr_t)item, block = (uintptr_t)v->block;

	if (v->block == NULL || at < block || at >= block + v->block_size)
		free(item);
}

void cgi_variables_take_block(struct cgi_variables *v, void *block, size_t size)
{
	v->block = block;
	v->block_size = size;
}

static int grow(struct cgi_variables *v)
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
static int put(struct cgi_variables *v, char *item, size_t name)
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

int cgi_variables_set(struct cgi_variables *v, const char *name, const char *value)
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

int cgi_variables_default(struct cgi_variables *v, const char *name, const char *value)
{
	const char *have = cgi_variables_get(v, name);

	return have != NULL && have[0] != '\0' ? 0 : cgi_variables_set(v, name, value);
}

int cgi_variables_add(struct cgi_variables *v, const char *item)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): free_item frees it. */
	return cgi_variables_take(v, strdup(item), strcspn(item, "="));
}

int cgi_variables_take(struct cgi_variables *v, char *item, size_t name)
{
	size_t i = item != NULL ? find_placed(v, item, name) : v->count;

	if (i == v->count)
		return put(v, item, name);
	free_item(v, v->items[i]);
	v->items[i] = item;
	return 0;
}

/* By name; parameters of the same name in the order they came. */
static int compare(const void *left, const void *right, void *variables)
{
	const struct cgi_variables *v = variables;
	size_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	int order = v->names[a] == v->names[b]  ? memcmp(v->items[a], v->items[b], v->names[a])
		    : v->names[a] < v->names[b] ? -1
						: 1;

	return order != 0 ? order : a < b ? -1 : a > b;
}

/* Close the gaps that NULLs make from this place on. */
static void close_gaps(struct cgi_variables *v, size_t from)
{
	size_t to = from;

	for (size_t i = from; i < v->count; i++) {
		if (v->items[i] == NULL)
			continue;
		v->items[to] = v->items[i];
		v->names[to++] = v->names[i];
	}
	v->count = to;
	if (v->items != NULL)
		v->items[to] = NULL;
}

int cgi_variables_settle(struct cgi_variables *v)
{
	size_t count = v->count > PLACED ? v->count - PLACED : 0, first = 0;
	uint32_t *sorted;

	if (count < 2)
		return 0;
	sorted = malloc(count * sizeof(*sorted));
	if (sorted == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		sorted[i] = (uint32_t)(PLACED + i);
	qsort_r(sorted, count, sizeof(*sorted), compare, v);
	for (size_t i = 1; i < count; i++) {
		uint32_t before = sorted[first], here = sorted[i];

		if (!is_at(v, before, v->items[here], v->names[here])) {
			first = i;
			continue;
		}
		free_item(v, v->items[before]);
		v->items[before] = v->items[here];
		v->items[here] = NULL;
	}
	free(sorted);
	close_gaps(v, PLACED);
	return 0;
}

static void place_all(struct cgi_variables *v)
{
	memset(v->places, 0, sizeof(v->places));
	for (size_t i = 0; i < v->count && i < PLACED; i++)
		place(v, i);
}

/* This one goes; the table is not right until all have been taken out. */
static void take_out(struct cgi_variables *v, size_t i)
{
	free_item(v, v->items[i]);
	v->items[i] = NULL;
}

static void taken_out(struct cgi_variables *v)
{
	close_gaps(v, 0);
	place_all(v);
}

void cgi_variables_remove(struct cgi_variables *v, const char *name)
{
	size_t i = find(v, name);

	if (i == v->count)
		return;
	take_out(v, i);
	taken_out(v);
}

void cgi_variables_remove_any_case(struct cgi_variables *v, const char *name)
{
	size_t size = strlen(name);
	bool found = false;

	for (size_t i = 0; i < v->count; i++) {
		if (v->names[i] == size && strncasecmp(v->items[i], name, size) == 0) {
			take_out(v, i);
			found = true;
		}
	}
	if (found)
		taken_out(v);
}

void cgi_variables_remove_prefix(struct cgi_variables *v, const char *prefix)
{
	size_t size = strlen(prefix);
	bool found = false;

	for (size_t i = 0; i < v->count; i++) {
		if (v->items[i][0] == prefix[0] && strncmp(v->items[i], prefix, size) == 0) {
			take_out(v, i);
			found = true;
		}
	}
	if (found)
		taken_out(v);
}

void cgi_variables_release(struct cgi_variables *v)
{
	for (size_t i = 0; i < v->count; i++)
		free_item(v, v->items[i]);
	free(v->items);
	free(v->names);
	free(v->block);
	*v = (struct cgi_variables){0};
}
