/* The threads of the front (front.c), as many as there is work. */
#ifndef EXTHOST_FRONT_H
#define EXTHOST_FRONT_H

#include "front/answer.h"
#include "front/status.h"
#include "ipc/front_channel.h"
#include "net/wire_check.h"
#include "pool/app_pool.h"

#include <stdatomic.h>

/* Plus the listener's index: larger than any connection's tag. */
#define LISTENER_TAG 0xffffffff00000000

struct front_request;
struct listener;

struct front {
	const struct front_setup *setup;
	struct front_shared shared;
	struct app_pool_setup apps;
	struct config_share *configs;
	struct connections *connections;
	/* By a connection's index: its request whose body still comes; or NULL. */
	struct front_request **begun;
	struct wire_rules rules;
	int epoll;
	struct admission *accepting;
	int control_epoll; /* of the control socket, which threads of its own serve */
	struct admission *control;
	int languages;
	struct status_sources status;
	atomic_int waiting; /* threads in epoll_wait */
	atomic_size_t threads;
	atomic_bool stopping;
};

/*
 * Answer `exthost status` at the control socket among these listeners from now on, with threads
 * that need no place, thread or lane that requests can exhaust. 0 or -1 with errno.
 */
int front_start_control(struct front *f, const struct listener *listeners, size_t count);

/* Start one more thread, unless there are as many as --max-connections. */
void front_start_thread(struct front *f);

#endif
