/*
 * The option table, and a value's way from text into its place. Nothing else in the host knows an
 * option's name, its default or its range; a language's own settings are known to its binding
 * alone.
 */
#ifndef EXTHOST_OPTION_H
#define EXTHOST_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binding;
struct error;

enum option_type {
	TYPE_STRING,
	TYPE_CHOICE,
	TYPE_PATH,  /* a string: a path, which is made absolute (option_resolve) */
	TYPE_PATHS, /* a string: paths with ':' between, likewise */
	TYPE_LIST,
	TYPE_FILES, /* a list of paths, likewise */
	TYPE_FLAG,
	TYPE_NUMBER,
	TYPE_SIZE
};

struct option {
	const char *name;
	enum option_type type;
	size_t offset;        /* of its value in struct config */
	int commands;         /* enum config_command, or-ed */
	const char *fallback; /* the default; NULL: none. "unlimited": numbers may be that word */
	uint64_t least, most; /* TYPE_NUMBER and TYPE_SIZE */
	const char *argument; /* its name in --help; for TYPE_CHOICE the choices, "a|b" */
	const char *help;
};

#define OPTIONS_MAX 96

/* The host's own options. One row is no option: it has neither a name nor commands. */
extern const struct option options[];
extern const size_t option_count;

/* All options: the host's own, and the settings of these languages. */
struct option_table {
	struct option rows[OPTIONS_MAX];
	size_t count;
	bool given[OPTIONS_MAX]; /* this row has been set on the command line */
};

/*
 * Build it, with nothing given. bindings: NULL at the end; NULL: no language. 0, or -1 with *e: a
 * binding declares a setting whose name is an option already, or there are too many.
 */
int option_table_build(
    struct option_table *table, const struct binding *const *bindings, struct error *e);

/* The option of this name (size bytes) that one of these commands has, or NULL. */
const struct option *option_find(
    const struct option_table *table, const char *name, size_t size, int commands);

/* Its values are strings, or lists of strings. */
bool option_is_text(const struct option *o);
bool option_is_list(const struct option *o);

/*
 * A copy of the text, in which relative paths of TYPE_PATH, TYPE_PATHS and TYPE_FILES begin in this
 * directory (NULL: the working directory). The caller frees it. NULL with errno: no memory, or the
 * path is relative and the working directory is gone.
 */
char *option_resolve(const struct option *o, const char *text, const char *directory);

/*
 * Put a value into its place (what was there is freed; lists grow). 0, or -1 with *e: the value and
 * what is allowed.
 */
int option_set(void *place, const struct option *o, const char *text, struct error *e);

#endif
