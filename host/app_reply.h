/* Where the reply of an app goes: what binding.h promises of binding_reply_write and its like. */
#ifndef EXTHOST_APP_REPLY_H
#define EXTHOST_APP_REPLY_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>

struct reply;

struct binding_reply {
	int pipe;            /* to the front; -1: */
	struct reply *reply; /* straight to the client */
	int memory;          /* takes what is written to a descriptor then; -1: nobody has asked */
	atomic_bool *slot_released; /* of that one: to be set before a part of it leaves; or NULL */
	bool refused;               /* it is no reply, for this reason */
	struct error why;
};

/*
 * What was written to binding_reply_descriptor's memory, if anything, becomes the reply, and the
 * memory is empty again. For a reply that goes to the client.
 */
void app_reply_take_memory(struct binding_reply *r);

#endif
