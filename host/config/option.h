/*
 * The option table, and a value's way from text into its place. Nothing else in the program knows an
 * option's name, its default or its range.
 */
#ifndef EXTHOST_OPTION_H
#define EXTHOST_OPTION_H

#include <stddef.h>
#include <stdint.h>

struct config;
struct error;

enum option_type { TYPE_STRING, TYPE_LIST, TYPE_FLAG, TYPE_NUMBER, TYPE_SIZE, TYPE_CHOICE };

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

extern const struct option options[];
extern const size_t option_count;

/* The option of this name (size bytes) that one of these commands has, or NULL. */
const struct option *option_find(const char *name, size_t size, int commands);

/*
 * Put a value into its place (what was there is freed; lists grow). 0, or -1 with *e: the value and
 * what is allowed.
 */
int option_set(void *place, const struct option *o, const char *text, struct error *e);

struct extension_settings;

/*
 * What is said of an extension in this language: the option LANGUAGE-WHAT, "tcl-path" for example. ""
 * if nothing is, or there is no such option.
 */
const char *option_extension_setting(
    const struct extension_settings *extension, const char *language, const char *what);

#endif
