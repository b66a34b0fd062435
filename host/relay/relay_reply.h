/* The reply on its way through the relay: held until it is whole, and then printed. */
#ifndef EXTHOST_RELAY_REPLY_H
#define EXTHOST_RELAY_REPLY_H

#include "net/wire.h"

#define RELAY_MEMORY 65536

struct relay_reply {
	struct wire_reply wire;
	unsigned char memory[RELAY_MEMORY]; /* the beginning of the reply */
	size_t memory_size;
	int file;           /* an unlinked file for the rest of the reply, or -1 */
	int status;         /* after a failure: the status of the page to print */
	const char *reason; /* after a failure: for the page */
};

void relay_reply_init(struct relay_reply *reply, uint16_t request_id);

/* Read what the host has sent. 1: the reply is whole; 0: more will come; -1: it never will be. */
int relay_reply_read(struct relay_reply *reply, int host);

/* Print a whole reply. Returns the relay's exit status. */
int relay_reply_print(struct relay_reply *reply);

/*
 * Print a page of the relay's own in place of a reply, and one line on standard error. Returns the
 * exit status: 0, since a reply was printed.
 */
int relay_reply_page(int status, const char *reason);

#endif
