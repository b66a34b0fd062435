/*
 * The keeper of the front: the master starts the front with it, sends it orders, and starts another
 * front when this one dies.
 */
#ifndef EXTHOST_FRONT_KEEPER_H
#define EXTHOST_FRONT_KEEPER_H

#include "ipc/front_channel.h"
#include "master/child.h"
#include "master/heartbeat.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct services;

struct front_keeper {
	struct child child;
	int channel;         /* orders to the front; -1: there is no front */
	uint64_t ping_every; /* nanoseconds between two pings */
	uint64_t patience;   /* nanoseconds without an answer after which it is killed */
	struct heartbeat heartbeat;
	pid_t services_told; /* pid of the front that knows the state of the services */
};

/*
 * The first front is due at once. It is pinged twice a second, and killed after five seconds
 * without an answer. `watchdog_every`: nanoseconds between the pings to the supervisor, which take
 * half of the time that it waits; 0: it waits for none. If these are shorter they hold instead.
 */
void front_keeper_init(struct front_keeper *k, const struct log *log, uint64_t watchdog_every);

/*
 * Start a front if one is due; ping it, and kill it if it hangs. `setup` is complete but for the
 * channel. The new process calls `in_child` with `argument` first, to close what belongs to the
 * master alone. Returns when the next of these is due, of clock_now(), or 0.
 */
uint64_t front_keeper_work(struct front_keeper *k, const struct front_setup *setup,
    void (*in_child)(void *argument), void *argument);

/*
 * The master has reaped a process; `how` says how it died ("exit status 1"). false: it was not the
 * front.
 */
bool front_keeper_child_died(struct front_keeper *k, pid_t pid, const char *how);

/* The front has answered the ping (FRONT_ANSWER). */
void front_keeper_take_answer(struct front_keeper *k);

/* Send an order, with a descriptor unless it is -1. Without a front nothing happens. */
void front_keeper_tell(
    const struct front_keeper *k, const struct front_message *message, int descriptor);

/* Send the state of the services, for `exthost status`, unless this front knows it already. */
void front_keeper_tell_services(struct front_keeper *k, struct services *services);

/* In a child of the master: close the pidfd of the front. The channel stays. */
void front_keeper_leave(struct front_keeper *k);

/* Kill the front, and reap it. */
void front_keeper_release(struct front_keeper *k);

#endif
