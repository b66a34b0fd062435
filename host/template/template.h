/*
 * A template: a process in which one language is started and common modules are loaded. It runs no
 * extension, and forks request processes when the front orders them. Each language has its own: a
 * process with one interpreter forks, and ends, faster than a process with all of them.
 */
#ifndef EXTHOST_TEMPLATE_H
#define EXTHOST_TEMPLATE_H

#include <stddef.h>

struct binding;
struct log;

struct template_setup {
	const struct binding *binding;
	char *const *preload; /* "language:module"; names of other languages are ignored */
	size_t preload_count;
	int channel;     /* SOCK_SEQPACKET to the front */
	int status;      /* SOCK_SEQPACKET to the master: struct template_status */
	struct log *log; /* the template's own copy */
};

/*
 * Run the template. The process exits when the front has closed the channel and the last request
 * process is gone, or when the template cannot start: it has then sent the reason to `status`.
 */
void template_main(const struct template_setup *setup) __attribute__((noreturn));

#endif
