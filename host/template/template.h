/*
 * A template: a process with one language started and the common modules loaded, that runs no
 * extension and forks request processes when the front asks. There is one for each language: a
 * process that carries one interpreter is forked, and ends, faster than one that carries all.
 */
#ifndef EXTHOST_TEMPLATE_H
#define EXTHOST_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

struct binding;
struct log;

struct template_setup {
	const struct binding *binding;
	char *const *preload; /* "language:module"; those of other languages are passed over */
	size_t preload_count;
	int channel;     /* SOCK_SEQPACKET to the front */
	int status;      /* SOCK_SEQPACKET to the master; template_status below */
	struct log *log; /* a copy of its own, as it is in a process of its own */
};

/*
 * Front to template, with a struct request_process_ends: fork one that has these. The front makes
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
 * Be the template. Ends when the front closes the channel and the last request process is gone, or
 * when it cannot start: then *status* has said why.
 */
void template_main(const struct template_setup *setup) __attribute__((noreturn));

/* On its channel: from now on it writes the log to this descriptor. Failure means that it is gone. */
void template_set_log(int channel, int log);

/* Read one status message. 1, 0 at end of file, -1 with errno. flags as for recvmsg(2). */
int template_status_receive(int status, struct template_status *message, int flags);

#endif
