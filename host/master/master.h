/* The master: owns the listening sockets, starts and replaces the other processes. */
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
	struct config *config; /* replaced in place by a reload */
	const struct config_source *source;
	struct log *log;
	const struct binding *const *bindings;
	struct listener *listeners;
	size_t listener_count;
};

/*
 * Serve until SIGTERM, or SIGINT if that was not ignored when the program began. The exit status of the
 * program: 0, or 1 when the template cannot start at all.
 */
int master_run(const struct master_setup *setup);

#endif
