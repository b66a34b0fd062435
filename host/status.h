/*
 * What the host is doing, for those who look in: as JSON over the control socket, and as Prometheus
 * text.
 */
#ifndef EXTHOST_STATUS_H
#define EXTHOST_STATUS_H

#include "buffer.h"
#include "language.h"

#include <stdatomic.h>
#include <stdint.h>

struct binding;
struct config_share;
struct connections;
struct lanes;
struct spares;
struct stats;

/* Who knows what there is to tell. */
struct status_sources {
	uint64_t began; /* request_clock() at the front's start */
	const struct binding *const *bindings;
	atomic_int templates[LANGUAGES_MAX]; /* their processes; 0: none has come yet */
	struct config_share *configs;
	struct stats *stats;
	struct spares *spares;
	struct lanes *lanes;
	struct connections *connections;
};

/* One JSON object (README and exthost(8) tell its members) and a newline. 0 or -1. */
int status_json(struct status_sources *sources, struct buffer *out);

/* The text format of Prometheus, version 0.0.4. 0 or -1. */
int status_metrics(struct status_sources *sources, struct buffer *out);

/*
 * Answer who has connected to the control socket: one line, "status" or "stack ID", then a JSON
 * object comes back and the connection is closed. `fd` stays the caller's.
 */
void status_serve(struct status_sources *sources, int fd);

#endif
