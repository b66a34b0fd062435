/*
 * Replies that are to be cut when their clients take more: one thread cannot wait for them as a
 * thread of the front does.
 */
#ifndef EXTHOST_LATE_CLIENTS_H
#define EXTHOST_LATE_CLIENTS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct response;

#define LATE_CLIENTS_MAX 64

struct late_clients {
	size_t count;
	struct late_client {
		int fd;
		struct buffer rest;
		uint64_t until; /* clock_now() */
	} items[LATE_CLIENTS_MAX];
};

/*
 * Of a response that was too slow (`late`): its descriptor is duplicated, and what is to be sent
 * yet is taken over. Without room, or memory, nothing: closing is all that can be done then.
 */
void late_clients_add(struct late_clients *cuts, struct response *r);

/* Send what is taken now, and close what has all or has had its time. true: others wait still. */
bool late_clients_go_on(struct late_clients *cuts);

#endif
