/*
 * Services: programs that the master keeps running beside the host ([service NAME]). They are
 * started in order, started again when they end, and stopped in reverse order; their output goes to
 * the log.
 */
#ifndef EXTHOST_SERVICE_H
#define EXTHOST_SERVICE_H

#include "config/check_service.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct binding;
struct config;
struct log;
struct service;

struct services {
	const struct binding *const *bindings;
	const struct log *log;
	void (*in_child)(
	    void *argument); /* called in a new process: closes the master's own files */
	bool (*is_hurried)(void *argument); /* true: services_stop() must not wait any longer */
	void *argument;                     /* of both functions */
	struct service *items[SERVICES_MAX];
	size_t count;
	bool changed; /* set when a state changes; the caller clears it */
};

/* State of one service, for `exthost status`. */
struct service_state {
	const char *name;
	pid_t pid;     /* 0: the service does not run */
	bool healthy;  /* it runs, is being stopped, or ended well and is not started again */
	char text[96]; /* "runs", "ended: exit status 0" ... */
};

/*
 * Take over the services of a configuration that was checked before. New services are added, and
 * services that are not configured any more are stopped. If the configuration of a service has
 * changed, it is stopped and then started as it is configured now. Nothing is started before
 * services_work().
 */
void services_configure(struct services *s, const struct config *config);

/* Start and kill what is due. Returns when something is due next, of clock_now(), or 0. */
uint64_t services_work(struct services *s);

/* The outputs of all services, for poll(2). Returns the number of events put in. */
size_t services_events(const struct services *s, struct pollfd events[SERVICES_MAX]);

/* Log the lines that have come. */
void services_take_output(struct services *s);

/* The master has reaped a process; wait_status is waitpid(2)'s. false: it was not a service. */
bool services_child_died(struct services *s, pid_t pid, int wait_status);

/* Whether this process group is a service's. */
bool services_has(const struct services *s, pid_t group);

/* State of the service at this index. */
void services_state(const struct services *s, size_t index, struct service_state *state);

/* In a child of the master: close every descriptor of the services. */
void services_leave(struct services *s);

/*
 * Stop all services, the last one first: each gets SIGTERM, and is finished when its process group
 * is empty, so that its processes finish what they have begun. What is left at the deadline is
 * killed. Each service but the first must end some time before the deadline (a second for each
 * service before it), so that none is killed that did not get its SIGTERM in time.
 */
void services_stop(struct services *s, uint64_t deadline);

#endif
