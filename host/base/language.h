/* Find a language by program, name or suffix. A language is an index into the table of bindings. */
#ifndef EXTHOST_LANGUAGE_H
#define EXTHOST_LANGUAGE_H

#define LANGUAGES_MAX 8

struct binding;

/* By the program in a shebang line, with or without a version: "python3.11". Index or -1. */
int language_by_program(const struct binding *const *bindings, const char *program);

/* By the binding's name: "tcl". Index or -1. */
int language_by_name(const struct binding *const *bindings, const char *name);

/* By the suffix of a file name: ".tcl". Index or -1. */
int language_by_suffix(const struct binding *const *bindings, const char *path);

#endif
