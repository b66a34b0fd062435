/*
 * The programs that the master keeps running beside the host ([service NAME]): started in order,
 * started again when they end, their output in the log, stopped in the reverse order.
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
	void (*in_child)(void *argument);   /* called in a child, to close what is not for it */
	bool (*is_hurried)(void *argument); /* whether services_stop shall not wait any more */
	void *argument;
	struct service *items[SERVICES_MAX];
	size_t count;
	bool changed; /* something that status tells, since the caller last cleared it */
};

/* What status tells of one. */
struct service_state {
	const char *name;
	pid_t pid;     /* 0: it does not run */
	bool healthy;  /* it runs, or has ended as it may */
	char text[96]; /* "runs", "ended with exit status 1; again in 2 s" ... */
};

/*
 * Keep those that are configured (checked before): a new one is started, one that is not there any
 * more is stopped, and one that is described otherwise is stopped and started anew. Nothing is
 * started before services_work.
 */
void services_configure(struct services *s, const struct config *config);

/* Start what is due. When the next is, of clock_now(), or 0. */
uint64_t services_work(struct services *s);

/* Their outputs, for poll(2); the number of events put in. */
size_t services_events(const struct services *s, struct pollfd events[SERVICES_MAX]);

/* Log the lines that have come. */
void services_take_output(struct services *s);

/* A child of the master's has died; `wait_status` says how. false: it was none of these. */
bool services_child_died(struct services *s, pid_t pid, int wait_status);

/* Whether a process group is one of theirs. */
bool services_has(const struct services *s, pid_t group);

/* Of the one at this place. */
void services_state(const struct services *s, size_t index, struct service_state *state);

/*
 * Stop all, the last first: each gets SIGTERM, and is done when its process group is empty, so that
 * what it has begun is finished. What is left at the deadline is killed; one that is not the first
 * a second earlier for each before it, so that none is killed that has not been told to end.
 */
void services_stop(struct services *s, uint64_t deadline);

#endif
