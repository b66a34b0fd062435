/*
 * A template: a process in which one language is started and common modules are loaded. It runs no
 * extension, and forks request processes when the front orders them. Each language has its own: a
 * process with one interpreter forks, and ends, faster than a process with all of them.
 */
#ifndef EXTHOST_TEMPLATE_H
#define EXTHOST_TEMPLATE_H

#include <stddef.h>
#include <sys/types.h>

struct binding;
struct log;

struct template_setup {
	const struct binding *binding;
	char *const *preload; /* "language:module"; names of other languages are ignored */
	size_t preload_count;
	int channel;     /* SOCK_SEQPACKET to the front */
	int status;      /* SOCK_SEQPACKET to the master: struct template_status, and pings */
	struct log *log; /* the template's own copy */
};

/* A template as its parent holds it. */
struct template_handle {
	pid_t pid;
	int channel; /* the other end of the template's channel: orders, for the front */
	int status;  /* the other end of `status` */
};

/*
 * Start a template: make its two channels, fork, and run template_main() in the new process.
 * `fork_child` does the fork(2); in the child, before it returns 0, it closes what a template must
 * not hold. `setup` is complete but for the two channels. 0 with *t, whose descriptors the
 * caller owns; -1 with errno, also if `fork_child` returned -1.
 */
int template_start(const struct template_setup *setup, pid_t (*fork_child)(void *context),
    void *context, struct template_handle *t);

/*
 * Run the template. The process exits when the front has closed the channel and the last request
 * process is gone, or when the template cannot start: it has then sent the reason to `status`.
 */
void template_main(const struct template_setup *setup) __attribute__((noreturn));

#endif
