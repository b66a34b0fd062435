/*
 * The keeper of one language's template: the master starts the template with it, and replaces it
 * when it dies, on a reload, and when there are more modules to preload.
 */
#ifndef EXTHOST_TEMPLATE_KEEPER_H
#define EXTHOST_TEMPLATE_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/child.h"
#include "master/heartbeat.h"
#include "template/preload.h"

struct binding;
struct log;

struct template_keeper {
	const struct binding *binding;
	struct log *log;
	char name[32]; /* "python template" */
	struct preload preload;
	struct child serving;       /* the template that forks now */
	struct child next;          /* a template that starts, or the plan to start one */
	struct heartbeat heartbeat; /* of the template that forks now */
	int pings;                  /* to that template; -1: there is none */
	bool changed;               /* another template serves, or answers late, or in time again */
	int status;    /* status messages of the template that starts; -1: none starts */
	int channel;   /* its channel, for the front; -1: none starts */
	bool ready;    /* at least one template has come up */
	bool hopeless; /* the first template could not start, and nothing is left to try */
};

/* `configured`: the modules to preload, of all languages. No start is planned yet. */
void template_keeper_init(struct template_keeper *k, const struct binding *binding, struct log *log,
    const struct config_list *configured);

/* Take over a changed list of modules to preload; for the next template. */
void template_keeper_configure(struct template_keeper *k, const struct config_list *configured);

/*
 * Start a new template after so many nanoseconds. The present one serves until the new one is
 * ready.
 */
void template_keeper_want(struct template_keeper *k, uint64_t delay);

/* The log file was opened again: give it to the template that starts, which has the old file. */
void template_keeper_reopen_log(struct template_keeper *k);

/* Extensions use this module ("language:module"). If it is new, it is preloaded from now on. */
void template_keeper_notice(struct template_keeper *k, const char *name);

/* The front is gone, and its channel to the template with it: start a new template at once. */
void template_keeper_forget_template(struct template_keeper *k);

/*
 * Kill a template that is not ready in time, or hangs; start one if it is due. The new process
 * calls `in_child` with `argument` first, to close what belongs to the master alone. Returns when
 * the next of these is due, of clock_now(), or 0.
 */
uint64_t template_keeper_work(
    struct template_keeper *k, void (*in_child)(void *argument), void *argument);

/* No template starts, and no start is planned. */
bool template_keeper_is_at_rest(const struct template_keeper *k);

/*
 * Read one message from k->status, when it is readable. true: the template is ready, and the caller
 * passes *channel to the front and closes it.
 */
bool template_keeper_take_status(struct template_keeper *k, int *channel);

/* Read one message from k->pings, when it is readable. */
void template_keeper_take_answer(struct template_keeper *k);

/*
 * What to tell the front: the template that serves (0: there is none), and whether it answers.
 * true: that has changed since the last call.
 */
bool template_keeper_has_changed(struct template_keeper *k, pid_t *serving, bool *answers);

/*
 * The master has reaped a process; `how` says how it died ("exit status 1"). false: it was not a
 * process of this keeper's.
 */
bool template_keeper_child_died(struct template_keeper *k, pid_t pid, const char *how);

/* In a child of the master: close every descriptor of this keeper's. */
void template_keeper_leave(struct template_keeper *k);

/* Kill both templates, and reap them. */
void template_keeper_release(struct template_keeper *k);

#endif
