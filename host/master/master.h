/*
 * The master process: it owns the listening sockets, and starts and replaces the other processes.
 */
#ifndef EXTHOST_MASTER_H
#define EXTHOST_MASTER_H

#include <stddef.h>

struct binding;
struct config;
struct error;
struct listener;
struct log;
struct config_source;

struct master_setup {
	struct config *config; /* a reload replaces its contents */
	const struct config_source *source;
	struct log *log;
	const struct binding *const *bindings;
	struct listener *listeners;
	size_t listener_count;
};

/*
 * Serve until SIGTERM, or SIGINT unless that was ignored when the program began. Returns the exit
 * status of the program: 0, or 1 when the first template of a language cannot start.
 */
int master_run(const struct master_setup *setup);

#endif
