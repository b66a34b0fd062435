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

#define APP_CUTS_MOST 64

struct app_cuts {
	size_t count;
	struct app_cut {
		int fd;
		struct buffer rest;
		uint64_t until; /* clock_now() */
	} items[APP_CUTS_MOST];
};

/*
 * Of a response that was too slow (`late`): its descriptor is duplicated, and what is to be sent yet is
 * taken over. Without room, or memory, nothing: closing is all that can be done then.
 */
void app_cuts_add(struct app_cuts *cuts, struct response *r);

/* Send what is taken now, and close what has all or has had its time. true: others wait still. */
bool app_cuts_go_on(struct app_cuts *cuts);

#endif
