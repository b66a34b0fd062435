/*
 * The keeper of one language's template, in the master: starts it, replaces it when it dies, on a
 * reload and when there is more to preload, and waits longer before each start that fails.
 */
#ifndef EXTHOST_TEMPLATE_KEEPER_H
#define EXTHOST_TEMPLATE_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "template/preload.h"

struct binding;
struct log;

struct template_keeper {
	const struct binding *binding;
	struct log *log;
	struct preload preload;
	pid_t template; /* the one that forks now; 0: none */
	struct {
		pid_t pid;         /* of one that has not said yet that it is ready; 0: none */
		int status;        /* from it */
		int channel;       /* the front's end, passed on when it is ready */
		uint64_t deadline; /* of clock_now() */
	} starting;
	uint64_t start_at; /* when to start the next one; 0: not */
	uint64_t backoff;
	bool ready;    /* has been, once */
	bool hopeless; /* the first one could not start, and nothing is left to try */
};

/* `configured`: what to preload, of all languages. Nothing is started yet. */
void template_keeper_init(struct template_keeper *k, const struct binding *binding, struct log *log,
    const struct config_list *configured);

/* What is configured to be preloaded has changed. */
void template_keeper_configure(struct template_keeper *k, const struct config_list *configured);

/* Have a new template started after so many nanoseconds; the present one serves until then. */
void template_keeper_want(struct template_keeper *k, uint64_t delay);

/* The log was opened again: the template that starts now has the file of before. */
void template_keeper_reopen_log(struct template_keeper *k);

/* This module is in use ("language:module"): if it is new, it is preloaded from now on. */
void template_keeper_notice(struct template_keeper *k, const char *name);

/* The front is gone, and with it the use of the template. */
void template_keeper_forget_template(struct template_keeper *k);

/*
 * Do what is due, and return when the next thing will be, 0 if nothing. A template is started by a
 * fork: in the child, `in_child` is called with `argument`, to close what is not for it.
 */
uint64_t template_keeper_work(
    struct template_keeper *k, void (*in_child)(void *argument), void *argument);

/* Whether nothing starts, and nothing is about to. */
bool template_keeper_is_at_rest(const struct template_keeper *k);

/*
 * Read what the template that starts has to say, when starting.status is readable. true: it is
 * ready, and *channel is to be passed to the front, and closed.
 */
bool template_keeper_take_status(struct template_keeper *k, int *channel);

/* A child of the master's has died; `how` it did. false: it was none of this keeper's. */
bool template_keeper_child_died(struct template_keeper *k, pid_t pid, const char *how);

/* End its processes at once, and reap them. */
void template_keeper_release(struct template_keeper *k);

#endif
