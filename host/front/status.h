/*
 * What the host is doing, for those who look in: as JSON over the control socket, and as Prometheus
 * text.
 */
#ifndef EXTHOST_STATUS_H
#define EXTHOST_STATUS_H

#include "base/buffer.h"
#include "base/language.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define STATUS_SERVICES_MAX 32

struct app_pool;
struct binding;
struct config_share;
struct connections;
struct lanes;
struct spares;
struct stats;

/* Who knows what there is to tell. */
struct status_sources {
	uint64_t began; /* clock_now() at the front's start */
	const struct binding *const *bindings;
	atomic_int templates[LANGUAGES_MAX]; /* their processes; 0: none has come yet */
	struct config_share *configs;
	struct stats *stats;
	struct spares *spares;
	struct app_pool *apps;
	struct lanes *lanes;
	struct connections *connections;
	pthread_mutex_t services_lock;
	size_t service_count;
	struct status_service {
		pid_t pid;      /* 0: it does not run */
		bool healthy;   /* it runs, or has ended as it may */
		char text[160]; /* its name and state, a line each */
	} services[STATUS_SERVICES_MAX];
};

/* So many services there are; what is told of each follows. */
void status_set_services(struct status_sources *sources, size_t count);
void status_set_service(
    struct status_sources *sources, size_t index, pid_t pid, bool well, const char *text);

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
