/*
 * There is one front at a time. A reload does not replace it: it reads the configuration again. A
 * front that does not answer pings hangs: it is killed.
 */
#include "master/front_keeper.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "front/front_main.h"
#include "master/service.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct child_rules rules = {
    .first = 100 * CLOCK_MILLISECOND, .most = 5000 * CLOCK_MILLISECOND};

/*
 * A front that is killed takes the requests in hand along, so it gets more time than a template:
 * half of the supervisor's, which must not be first, and never more than this.
 */
#define PATIENCE_MOST_NS (5 * CLOCK_SECOND)
#define PATIENCE_LEAST_NS (3 * CLOCK_SECOND / 2)

static void watch(struct front_keeper *k);

void front_keeper_init(struct front_keeper *k, const struct log *log, uint64_t watchdog_every)
{
	*k = (struct front_keeper){
	    .channel = -1, .ping_every = HEARTBEAT_EVERY_NS, .patience = PATIENCE_MOST_NS};
	if (watchdog_every != 0 && watchdog_every < HEARTBEAT_EVERY_NS)
		k->ping_every = watchdog_every;
	if (watchdog_every != 0 && watchdog_every < PATIENCE_MOST_NS)
		k->patience = watchdog_every;
	if (k->patience < PATIENCE_LEAST_NS)
		k->patience = PATIENCE_LEAST_NS;
	child_init(&k->child, "front", log, &rules);
	child_want(&k->child, 0);
}

static void start(struct front_keeper *k, const struct front_setup *setup, void (*in_child)(void *),
    void *argument)
{
	struct front_setup own = *setup;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		child_fail(&k->child, "start");
		return;
	}
	pid = child_fork(&k->child);
	if (pid == 0) {
		in_child(argument);
		close(ends[0]);
		own.master = ends[1];
		front_main(&own);
	}
	if (pid < 0) {
		child_fail(&k->child, "start");
		close(ends[0]);
	} else {
		k->channel = ends[0];
		heartbeat_begin(&k->heartbeat, k->ping_every, k->patience);
	}
	close(ends[1]);
}

uint64_t front_keeper_work(struct front_keeper *k, const struct front_setup *setup,
    void (*in_child)(void *), void *argument)
{
	if (child_is_due(&k->child))
		start(k, setup, in_child, argument);
	watch(k);
	return k->child.pid != 0 ? k->heartbeat.due : child_next_event(&k->child);
}

/* A front that hangs is killed, and then replaced like a dead one. */
static void watch(struct front_keeper *k)
{
	const struct front_message ping = {.order = FRONT_PING};

	switch (heartbeat_step(&k->heartbeat)) {
	case HEARTBEAT_PING: front_keeper_tell(k, &ping, -1); break;
	case HEARTBEAT_LOST:
		log_message(k->child.log, LEVEL_ERROR, "%s: does not answer, so it is killed",
		    k->child.name);
		child_signal(&k->child, SIGKILL);
		heartbeat_end(&k->heartbeat);
		break;
	case HEARTBEAT_WAIT:
	case HEARTBEAT_LATE: break;
	}
}

void front_keeper_take_answer(struct front_keeper *k)
{
	heartbeat_answer(&k->heartbeat);
}

bool front_keeper_child_died(struct front_keeper *k, pid_t pid, const char *how)
{
	if (!child_died(&k->child, pid))
		return false;
	log_message(k->child.log, LEVEL_ERROR, "%s: %s; starting another", k->child.name, how);
	fd_close(&k->channel);
	heartbeat_end(&k->heartbeat);
	child_start_again(&k->child);
	return true;
}

void front_keeper_tell(
    const struct front_keeper *k, const struct front_message *message, int descriptor)
{
	if (k->channel >= 0)
		fd_send(
		    k->channel, message, sizeof(*message), &descriptor, descriptor >= 0 ? 1 : 0);
}

void front_keeper_tell_services(struct front_keeper *k, struct services *services)
{
	struct front_message message = {
	    .order = FRONT_SERVICES, .index = (uint32_t)services->count};

	if (k->child.pid == 0 || (k->child.pid == k->services_told && !services->changed))
		return;
	k->services_told = k->child.pid;
	services->changed = false;
	front_keeper_tell(k, &message, -1);
	message.order = FRONT_SERVICE;
	for (size_t i = 0; i < services->count; i++) {
		struct service_state state;

		services_state(services, i, &state);
		message.index = (uint32_t)i;
		message.pid = state.pid;
		message.healthy = state.healthy;
		snprintf(
		    message.text, sizeof(message.text), "%.50s\n%.95s", state.name, state.text);
		front_keeper_tell(k, &message, -1);
	}
}

void front_keeper_leave(struct front_keeper *k)
{
	child_forget(&k->child);
}

void front_keeper_release(struct front_keeper *k)
{
	child_end(&k->child);
	fd_close(&k->channel);
}
