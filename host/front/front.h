/* The threads of the front: they serve, as many as there is work (front.c). */
#ifndef EXTHOST_FRONT_H
#define EXTHOST_FRONT_H

#include "front/answer.h"
#include "front/status.h"
#include "ipc/front_channel.h"
#include "net/wire_check.h"
#include "pool/app_pool.h"

#include <stdatomic.h>

#define LISTENER_TAG 0xffffffff00000000 /* and the listener's index: no connection's generation */

struct front_request;
struct listener;

struct front {
	const struct front_setup *setup;
	struct front_shared shared;
	struct app_pool_setup apps;
	struct config_share *configs;
	struct connections *connections;
	struct front_request **begun; /* by a connection's index: its body still comes; or NULL */
	struct wire_rules rules;
	int epoll;
	struct admission *accepting;
	int control_epoll; /* of the control socket, which has threads of its own */
	struct admission *control;
	int languages;
	struct status_sources status;
	atomic_int waiting; /* threads in epoll_wait */
	atomic_size_t threads;
	atomic_bool stopping;
};

/*
 * Answer `exthost status` at the control socket among these listeners, from now on, in threads that wait
 * for no place, thread or lane that requests may have taken. 0 or -1 with errno.
 */
int front_start_control(struct front *f, const struct listener *listeners, size_t count);

/* Have one more thread serve, unless there are as many as there may be connections. */
void front_start_thread(struct front *f);

#endif
