/* Which language a word means. A language is named by its index in the table of bindings. */
#ifndef EXTHOST_LANGUAGE_H
#define EXTHOST_LANGUAGE_H

#define LANGUAGES_MAX 8

struct binding;

/* By the program in a #! line, a version behind it allowed: "python3.11". Index or -1. */
int language_by_program(const struct binding *const *bindings, const char *program);

/* By the binding's name: "tcl". Index or -1. */
int language_by_name(const struct binding *const *bindings, const char *name);

/* By the end of a file's name: ".tcl". Index or -1. */
int language_by_suffix(const struct binding *const *bindings, const char *path);

#endif
