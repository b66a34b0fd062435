/*
 * A template: a process with one language started and the common modules loaded, that runs no
 * extension and forks request processes when the front asks. There is one for each language: a
 * process that carries one interpreter is forked, and ends, faster than one that carries all.
 */
#ifndef EXTHOST_TEMPLATE_H
#define EXTHOST_TEMPLATE_H

#include <stddef.h>

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
 * Be the template. Ends when the front closes the channel and the last request process is gone, or
 * when it cannot start: then *status* has said why.
 */
void template_main(const struct template_setup *setup) __attribute__((noreturn));

#endif
