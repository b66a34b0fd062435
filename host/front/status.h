/* The state of the host, as JSON over the control socket and as Prometheus text. */
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

/* Where the report comes from. */
struct status_sources {
	uint64_t began; /* clock_now() at the front's start */
	const struct binding *const *bindings;
	atomic_int templates[LANGUAGES_MAX]; /* process id of each template; 0: there is none */
	atomic_bool hung[LANGUAGES_MAX];     /* the template does not answer the master */
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
		bool healthy;   /* it runs, or has ended and need not run */
		char text[160]; /* its name and state, a line each */
	} services[STATUS_SERVICES_MAX];
};

/* Set the number of services; status_set_service follows for each. */
void status_set_services(struct status_sources *sources, size_t count);
void status_set_service(
    struct status_sources *sources, size_t index, pid_t pid, bool well, const char *text);

/* One JSON object (exthost(8) lists its members) and a newline. 0 or -1. */
int status_json(struct status_sources *sources, struct buffer *out);

/* The text format of Prometheus, version 0.0.4. 0 or -1. */
int status_metrics(struct status_sources *sources, struct buffer *out);

/*
 * Answer a connection to the control socket: read one line, "status" or "stack ID", and write a
 * JSON object. `fd` stays the caller's.
 */
void status_serve(struct status_sources *sources, int fd);

#endif
