/* One front at a time; a reload does not replace it. */
#include "master/front_keeper.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "front/front_main.h"
#include "master/service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST (100 * CLOCK_MILLISECOND)
#define BACKOFF_MOST (5000 * CLOCK_MILLISECOND)
#define AT_ONCE                                                                                    \
	(1000 * CLOCK_MILLISECOND) /* dying within this is no accident, but a failure to start */

void front_keeper_init(struct front_keeper *k, const struct log *log)
{
	*k = (struct front_keeper){.log = log, .channel = -1, .backoff = BACKOFF_FIRST};
}

static void start(struct front_keeper *k, const struct front_setup *setup, void (*in_child)(void *),
    void *argument)
{
	struct front_setup own = *setup;
	int ends[2];
	pid_t pid = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		ends[0] = ends[1] = -1;
	else
		pid = fork();
	if (pid == 0) {
		in_child(argument);
		close(ends[0]);
		own.master = ends[1];
		front_main(&own);
	}
	if (pid < 0) {
		/* A pid of -1 must not be kept: to kill(2) it is everybody. */
		log_message(k->log, LEVEL_ERROR, "front: fork: %s", strerror(errno));
		fd_close(&ends[0]);
		k->at = clock_now() + BACKOFF_FIRST;
	} else {
		k->pid = pid;
		k->channel = ends[0];
		k->at = clock_now();
	}
	fd_close(&ends[1]);
}

uint64_t front_keeper_work(struct front_keeper *k, const struct front_setup *setup,
    void (*in_child)(void *), void *argument)
{
	if (k->pid == 0 && clock_now() >= k->at)
		start(k, setup, in_child, argument);
	return k->pid == 0 ? k->at : 0;
}

bool front_keeper_child_died(struct front_keeper *k, pid_t pid, const char *how)
{
	uint64_t now = clock_now();

	if (pid != k->pid)
		return false;
	log_message(k->log, LEVEL_ERROR, "front: %s; starting another", how);
	k->pid = 0;
	fd_close(&k->channel);
	if (now - k->at >= AT_ONCE) {
		k->backoff = BACKOFF_FIRST;
		k->at = now;
		return true;
	}
	k->at = now + k->backoff;
	k->backoff = k->backoff * 2 < BACKOFF_MOST ? k->backoff * 2 : BACKOFF_MOST;
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

	if (k->pid == 0 || (k->pid == k->told && !services->changed))
		return;
	k->told = k->pid;
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

void front_keeper_release(struct front_keeper *k)
{
	if (k->pid > 0 && kill(k->pid, SIGKILL) == 0)
		waitpid(k->pid, NULL, 0);
	k->pid = 0;
	fd_close(&k->channel);
}
