/*
 * Modules that extensions keep loading. What several runs have loaded is worth having in the
 * template, and is told to the master once.
 */
#ifndef EXTHOST_MODULE_USAGE_H
#define EXTHOST_MODULE_USAGE_H

struct binding;
struct module_usage;

/* Tell what was noticed over this SOCK_SEQPACKET, as "language:module". NULL: no memory. */
struct module_usage *module_usage_create(const struct binding *const *bindings, int master);

/* A run loaded this module. Safe to call from any thread; n may be NULL: nobody wants to know. */
void module_usage_add(struct module_usage *n, int language, const char *module);

#endif
