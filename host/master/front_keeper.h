/*
 * The keeper of the front, in the master: starts it, starts another when it dies, and waits longer
 * before each that dies at once.
 */
#ifndef EXTHOST_FRONT_KEEPER_H
#define EXTHOST_FRONT_KEEPER_H

#include "ipc/front_channel.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct services;

struct front_keeper {
	const struct log *log;
	pid_t pid;   /* 0: there is none */
	int channel; /* to it; -1: there is none */
	uint64_t at; /* when to start one, or when this one was started; of clock_now() */
	uint64_t backoff;
	pid_t told; /* the one that knows the services */
};

void front_keeper_init(struct front_keeper *k, const struct log *log);

/*
 * Start one if it is time to. `setup` is complete but for the channel. In the child, `in_child` is
 * called with `argument`, to close what is not for it. When the next is due, 0 if none.
 */
uint64_t front_keeper_work(struct front_keeper *k, const struct front_setup *setup,
    void (*in_child)(void *argument), void *argument);

/* A child of the master's has died; `how` it did. false: it was not the front. */
bool front_keeper_child_died(struct front_keeper *k, pid_t pid, const char *how);

/* Send an order, with a descriptor unless it is -1. Without a front nothing happens. */
void front_keeper_tell(
    const struct front_keeper *k, const struct front_message *message, int descriptor);

/* Tell it what status shall show of the services, if it does not know. */
void front_keeper_tell_services(struct front_keeper *k, struct services *services);

/* End it at once, and reap it. */
void front_keeper_release(struct front_keeper *k);

#endif
