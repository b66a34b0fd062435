/*
 * Environment variables of extensions and services: the options env, env-file and env-pass, of one
 * level (all extensions, a section) and merged.
 */
#ifndef EXTHOST_ENVIRONMENT_H
#define EXTHOST_ENVIRONMENT_H

#include "config/config.h"

struct error;

#define ENVIRONMENT_NAME_MAX 255     /* bytes of a name */
#define ENVIRONMENT_FILE_MAX 0x10000 /* bytes of a file of env-file */

/*
 * Check a name. It is refused if it is not made of letters, digits and '_' without a digit first,
 * or if a request's variables own it: those of RFC 3875 and of web servers, HTTP_ and FOSSIL_. A
 * request of nobody has no FOSSIL_USER, so an `env` of that name would make everybody that user. 0,
 * or -1 with *e.
 */
int environment_check_name(const char *name, struct error *e);

/* The same for NAME=VALUE. */
int environment_check_variable(const char *text, struct error *e);

/*
 * Append the variables of a file: lines NAME=VALUE; empty lines and those that begin with '#' or
 * ';' are skipped, as are blanks around a line. A value in '...' is the text between the quotes; so
 * is one in "...", where a backslash takes a following '"', '\', '$' or '`' as it is. Without
 * quotes everything counts as it stands. Of a name that comes twice the last one counts. 0, or -1
 * with *e, which names file and line, and shows no value. A byte order mark is skipped.
 */
int environment_read_file(struct config_list *variables, const char *path, struct error *e);

/*
 * Fill environment->variables: those of its files, over them those of env-pass that the host's
 * environment has, over them those of env. 0, or -1 with *e.
 */
int environment_read(struct config_environment *environment, struct error *e);

/* environment_read for all levels of the configuration. 0, or -1 with *e. */
int environment_read_all(struct config *config, struct error *e);

/* Append the variables whose name *to does not have. 0, or -1: no memory. */
int environment_merge(struct config_list *to, const struct config_list *from);

/*
 * The variables for an extension (its path beneath the root): those of `own` (NULL: none), of the
 * sections that match, the last one first, and of all extensions, each name once. *to is empty
 * before and the caller's to release. 0, or -1: no memory.
 */
int environment_find(const struct config *config, const char *path,
    const struct config_section *own, struct config_list *to);

/* Free all; it is empty again. */
void environment_release(struct config_environment *environment);

#endif
