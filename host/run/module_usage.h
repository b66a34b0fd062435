/*
 * Counts the modules that runs load. A module that several runs have loaded is worth preloading in
 * the template, and is reported to the master once.
 */
#ifndef EXTHOST_MODULE_USAGE_H
#define EXTHOST_MODULE_USAGE_H

struct binding;
struct module_usage;

/* Report modules over this SOCK_SEQPACKET, as "language:module". NULL: no memory. */
struct module_usage *module_usage_create(const struct binding *const *bindings, int master);

/*
 * Count a run that loaded this module. Safe to call from any thread. If n is NULL, nothing happens.
 */
void module_usage_add(struct module_usage *n, int language, const char *module);

#endif
