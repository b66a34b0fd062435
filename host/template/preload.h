/* What a template loads ahead: what the configuration names, then what was noticed. */
#ifndef EXTHOST_PRELOAD_H
#define EXTHOST_PRELOAD_H

#include "config/config.h"

struct preload {
	struct config_list names;   /* "language:module", of one language */
	size_t configured;          /* the first so many are the configuration's */
	struct config_list refused; /* never again */
};

/* Whether a name "language:module" is one of this language's. */
bool preload_is_of(const char *name, const char *language);

/* Begin with those names of the configuration that are of this language. */
void preload_init(struct preload *p, const struct config_list *configured, const char *language);

/* Other names are configured now; what was noticed stays. */
void preload_configure(
    struct preload *p, const struct config_list *configured, const char *language);

/* true: the name is new and was added. */
bool preload_add_noticed(struct preload *p, const char *name);

/* Forget what was noticed. true: there was something. */
bool preload_drop_noticed(struct preload *p);

/* Take a name out, for good. */
void preload_refuse(struct preload *p, const char *name);

void preload_release(struct preload *p);

#endif
