/* What a template is told by the front, and what it tells the front and the master. */
#ifndef EXTHOST_TEMPLATE_CHANNEL_H
#define EXTHOST_TEMPLATE_CHANNEL_H

#include <stdint.h>

/*
 * Front to template, with a struct process_ends: fork one that has these. The front makes
 * them, since a socket that lies in another one, unread, is dear: at each close of a unix socket,
 * whoever's, the kernel then looks whether it is garbage.
 */
struct template_order {
	uint32_t warm; /* 1: it shall touch ahead the memory that a run will write */
	uint32_t log;  /* 1: fork none, answer nothing; the log goes to the descriptor with it */
};

/* Template to front, for each order and in their order: the process id, with its pidfd; -1: none. */
struct template_answer {
	int32_t pid;
};

enum template_event {
	TEMPLATE_READY = 1,
	TEMPLATE_REFUSED, /* text: "language:module", which does not load here; try without it */
	TEMPLATE_FAILED   /* text: why it ends */
};

#define TEMPLATE_TEXT_MAX 480

struct template_status {
	uint32_t event;
	char text[TEMPLATE_TEXT_MAX]; /* NUL-terminated */
};

/*
 * On the channel to a template: from now on it writes the log to this descriptor. A template that is gone is
 * noticed elsewhere.
 */
void template_set_log(int channel, int log);

/* Read one status message. 1, 0 at end of file, -1 with errno. flags as for recvmsg(2). */
int template_status_receive(int status, struct template_status *message, int flags);

#endif
