/* What the template loads ahead: what the configuration names, then what was noticed. */
#ifndef EXTHOST_PRELOAD_H
#define EXTHOST_PRELOAD_H

#include "config.h"

struct preload {
	struct config_list names;   /* "language:module" */
	size_t configured;          /* the first so many are the configuration's */
	struct config_list refused; /* never again */
};

/* Begin with the names of the configuration. */
void preload_init(struct preload *p, const struct config_list *configured);

/* true: the name is new and was added. */
bool preload_add_noticed(struct preload *p, const char *name);

/* Forget what was noticed. true: there was something. */
bool preload_drop_noticed(struct preload *p);

/* Take a name out, for good. */
void preload_refuse(struct preload *p, const char *name);

void preload_release(struct preload *p);

#endif
