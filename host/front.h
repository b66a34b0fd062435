/* The front: accepts, decodes, routes, guards every run, writes the reply, logs. C only. */
#ifndef EXTHOST_FRONT_H
#define EXTHOST_FRONT_H

#include <stddef.h>
#include <stdint.h>

struct binding;
struct config;
struct listener;
struct log;
struct serve_config_source;

/* Master to front, over the SOCK_SEQPACKET `master`. Front to master: "language:module" to preload. */
enum front_order {
	FRONT_TEMPLATE =
	    1,        /* with a descriptor: the channel of the template that forks from now on */
	FRONT_STOP,   /* finish what runs, within the grace time, and end */
	FRONT_REOPEN, /* open the log file again */
	FRONT_RELOAD /* read the configuration again; with the bytes of its file, if there is one */
};

struct front_message {
	uint32_t order;
	uint32_t language; /* of the template */
	int32_t pid;       /* its process */
};

struct front_setup {
	const struct config *config;              /* at the start */
	const struct serve_config_source *source; /* of later ones */
	struct log *log;
	const struct binding *const *bindings;
	struct listener *listeners;
	size_t listener_count;
	int master;
};

/* Be the front. Ends with 0 after FRONT_STOP, or when the master is gone; with 1 when it cannot. */
void front_main(const struct front_setup *setup) __attribute__((noreturn));

#endif
