/*
 * One row of the table is one field: its name in the strings, its type and its place. A list is as
 * many strings of its name as it has values, every other field is exactly one string. Both sides
 * are the same program, so the strings need no version: anything unexpected is a mistake of the
 * program, or a script that wrote to the channel, and is refused.
 */
#include "ipc/load_order.h"

#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum type { TEXT, LIST, FLAG, NUMBER };

struct field {
	const char *name;
	enum type type;
	size_t offset;  /* in struct load_order */
	uint64_t most;  /* NUMBER: the largest value */
	bool of_direct; /* for a direct worker only: see `serves` */
};

#define PLACE(member) offsetof(struct load_order, member)

static const struct field fields[] = {
    {"root", TEXT, PLACE(root), 0, false},
    {"rerun", FLAG, PLACE(rerun), 0, false},
    {"debug", FLAG, PLACE(debug), 0, false},
    {"validate", FLAG, PLACE(validate), 0, false},
    {"cpu", NUMBER, PLACE(cpu), UINT64_MAX, false},
    {"max-requests", NUMBER, PLACE(max_requests), UINT64_MAX, false},
    {"max-rss", NUMBER, PLACE(max_rss), UINT64_MAX, false},
    {"environment", LIST, PLACE(environment), 0, false},
    {"serves", FLAG, PLACE(serves), 0, false},
    {"name", TEXT, PLACE(name), 0, true},
    {"prefix", TEXT, PLACE(prefix), 0, true},
    {"tmpdir", TEXT, PLACE(tmpdir), 0, true},
    {"allow-uid", LIST, PLACE(allow_uid), 0, true},
    {"allow-gid", LIST, PLACE(allow_gid), 0, true},
    {"allow-from", LIST, PLACE(allow_from), 0, true},
    {"log-json", FLAG, PLACE(log_json), 0, true},
    {"log-level", NUMBER, PLACE(log_level), LEVEL_ERROR, true},
    {"max-connections", NUMBER, PLACE(max_connections), UINT64_MAX, true},
    {"max-header", NUMBER, PLACE(max_header), UINT64_MAX, true},
    {"max-body", NUMBER, PLACE(max_body), UINT64_MAX, true},
    {"max-reply", NUMBER, PLACE(max_reply), UINT64_MAX, true},
    {"reply-buffer", NUMBER, PLACE(reply_buffer), UINT64_MAX, true},
    {"timeout", NUMBER, PLACE(timeout), UINT64_MAX, true},
    {"body-timeout", NUMBER, PLACE(body_timeout), UINT64_MAX, true},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* One more string. 0, or -1: no memory. */
static int add(struct config_list *strings, const char *name, const char *value)
{
	char *text = NULL;
	int result =
	    asprintf(&text, "%s=%s", name, value) < 0 ? -1 : config_list_append(strings, text);

	free(text);
	return result;
}

static int pack_field(struct config_list *strings, const struct field *f, const void *place)
{
	const struct config_list *list = place;
	char number[24];

	switch (f->type) {
	case TEXT: return add(strings, f->name, *(const char *const *)place);
	case FLAG: return add(strings, f->name, *(const bool *)place ? "1" : "0");
	case NUMBER:
		snprintf(
		    number, sizeof(number), "%llu", (unsigned long long)*(const uint64_t *)place);
		return add(strings, f->name, number);
	case LIST: break;
	}
	for (size_t i = 0; i < list->count; i++)
		if (add(strings, f->name, list->items[i]) < 0)
			return -1;
	return 0;
}

char **load_order_pack(const struct load_order *order)
{
	struct config_list strings = {0};
	char **items = NULL;
	int result = 0;

	for (size_t i = 0; result == 0 && i < FIELDS; i++)
		if (order->serves || !fields[i].of_direct)
			result = pack_field(
			    &strings, &fields[i], (const char *)order + fields[i].offset);
	if (result == 0)
		items = reallocarray(strings.items, strings.count + 1, sizeof(*items));
	if (items == NULL)
		config_list_release(&strings);
	else
		items[strings.count] = NULL;
	return items;
}

void load_order_free(char **strings)
{
	for (char **item = strings; item != NULL && *item != NULL; item++)
		free(*item);
	free(strings);
}

static const struct field *find_field(const char *name, size_t size)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (strlen(fields[i].name) == size && memcmp(fields[i].name, name, size) == 0)
			return &fields[i];
	return NULL;
}

static int unpack_number(uint64_t *place, const char *text, uint64_t most, struct error *e)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0')
		return error_set(e, "'%s' is not a number", text);
	if (errno == ERANGE || n > most)
		return error_set(e, "'%s' is more than %llu", text, (unsigned long long)most);
	*place = n;
	return 0;
}

static int unpack_field(void *place, const struct field *f, const char *value, struct error *e)
{
	switch (f->type) {
	case TEXT: *(const char **)place = value; return 0;
	case LIST: return config_list_append(place, value) < 0 ? error_set(e, "out of memory") : 0;
	case FLAG:
		if ((value[0] != '0' && value[0] != '1') || value[1] != '\0')
			return error_set(e, "'%s' is neither 0 nor 1", value);
		*(bool *)place = value[0] == '1';
		return 0;
	case NUMBER: return unpack_number(place, value, f->most, e);
	}
	return error_set(e, "a field of no type");
}

/* `seen` has a place for each field. 0, or -1 with *e. */
static int unpack_string(struct load_order *order, const char *text, bool *seen, struct error *e)
{
	const char *value = strchr(text, '=');
	const struct field *f;

	if (value == NULL)
		return error_set(e, "'%s' is not NAME=value", text);
	f = find_field(text, (size_t)(value - text));
	if (f == NULL)
		return error_set(e, "there is no field '%.*s'", (int)(value - text), text);
	if (seen[f - fields] && f->type != LIST)
		return error_set(e, "%s stands there twice", f->name);
	seen[f - fields] = true;
	return unpack_field((char *)order + f->offset, f, value + 1, e) < 0
		   ? error_prefix(e, "%s", f->name)
		   : 0;
}

/* A list may have no value. */
static int check_all(const struct load_order *order, const bool *seen, struct error *e)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (seen[i] && fields[i].of_direct && !order->serves)
			return error_set(e, "%s is for direct workers only", fields[i].name);
		if (!seen[i] && fields[i].type != LIST && (order->serves || !fields[i].of_direct))
			return error_set(e, "%s is missing", fields[i].name);
	}
	return 0;
}

int load_order_unpack(struct load_order *order, char *const *strings, struct error *e)
{
	bool seen[FIELDS] = {false};
	int result = 0;

	*order = (struct load_order){0};
	for (; result == 0 && *strings != NULL; strings++)
		result = unpack_string(order, *strings, seen, e);
	if (result == 0)
		result = check_all(order, seen, e);
	if (result == 0)
		return 0;
	load_order_release(order);
	return error_prefix(e, "order to load");
}

void load_order_release(struct load_order *order)
{
	config_list_release(&order->environment);
	config_list_release(&order->allow_uid);
	config_list_release(&order->allow_gid);
	config_list_release(&order->allow_from);
}
