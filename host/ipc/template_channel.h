/*
 * The messages of the front and of the master to a template, and those of a template to the front
 * and the master.
 */
#ifndef EXTHOST_TEMPLATE_CHANNEL_H
#define EXTHOST_TEMPLATE_CHANNEL_H

#include <stdint.h>

/*
 * Front to template, with a struct process_ends: fork a process that gets these descriptors. The
 * front creates them, and not the template: a unix socket that is in flight, unread in another
 * socket, makes each close() of a unix socket on the machine slower, since the kernel then checks
 * for garbage.
 */
struct template_order {
	/* 1: the process touches the memory that a run will write before its order comes. */
	uint32_t warm;
	uint32_t log; /* 1: fork no process and send no answer: the descriptor is the new log */
};

/*
 * Template to front, for each order and in their order: the process id, with its pidfd; -1: the
 * fork failed.
 */
struct template_answer {
	int32_t pid;
};

enum template_event {
	TEMPLATE_READY = 1,
	/*
	 * A module, "language:module" in `text`, cannot be preloaded; start a template without it.
	 */
	TEMPLATE_REFUSED,
	TEMPLATE_FAILED, /* text: why the template ends */
	TEMPLATE_ANSWERS /* to a ping */
};

#define TEMPLATE_TEXT_MAX 480

struct template_status {
	uint32_t event;
	char text[TEMPLATE_TEXT_MAX]; /* NUL-terminated */
};

/*
 * Front: have the template at this channel write its log to this descriptor from now on. If the
 * template is gone, nothing happens.
 */
void template_set_log(int channel, int log);

/*
 * Master: ping a template that is ready, over the same socket. Its answer is TEMPLATE_ANSWERS. If
 * the template is gone, nothing happens.
 */
void template_ping(int status);

/* Template: take one ping. 1; 0 at end of file; -1 with errno, EAGAIN if there is none. */
int template_ping_receive(int status);

/* Master: receive one message. 1; 0 at end of file; -1 with errno. flags: as for recvmsg(2). */
int template_status_receive(int status, struct template_status *message, int flags);

#endif
