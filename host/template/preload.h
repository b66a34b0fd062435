/*
 * The modules that a template preloads: the configured ones, then those that the front has noticed
 * in runs.
 */
#ifndef EXTHOST_PRELOAD_H
#define EXTHOST_PRELOAD_H

#include "config/config.h"

struct preload {
	struct config_list names;   /* "language:module", of one language */
	size_t configured;          /* the first of them, which are the configuration's */
	struct config_list refused; /* modules that are not noticed any more */
};

/* Whether a name "language:module" is one of this language's. */
bool preload_is_of(const char *name, const char *language);

/* Start with the configured names of this language. */
void preload_init(struct preload *p, const struct config_list *configured, const char *language);

/* Replace the configured names; the noticed ones stay. */
void preload_configure(
    struct preload *p, const struct config_list *configured, const char *language);

/* Add a noticed module. true: the name is new and was added. */
bool preload_add_noticed(struct preload *p, const char *name);

/* Refuse all noticed modules. true: there were some. */
bool preload_drop_noticed(struct preload *p);

/* Remove a name for good. */
void preload_refuse(struct preload *p, const char *name);

void preload_release(struct preload *p);

#endif
