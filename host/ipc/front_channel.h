/* What the master says to the front: at its start, and later. */
#ifndef EXTHOST_FRONT_CHANNEL_H
#define EXTHOST_FRONT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binding;
struct config;
struct listener;
struct log;
struct config_source;

/* Master to front, over the SOCK_SEQPACKET `master`. Front to master: "language:module" to preload. */
enum front_order {
	FRONT_TEMPLATE =
	    1,          /* with a descriptor: the channel of the template that forks from now on */
	FRONT_LISTENER, /* with a descriptor: a listener's socket, bound anew */
	FRONT_SERVICES, /* so many services there are, in `index`; FRONT_SERVICE for each follows */
	FRONT_SERVICE,  /* what status tells of one: its name and state in `text` */
	FRONT_RELOAD, /* read the configuration again; with the bytes of its file, if there is one */
	FRONT_STOP,   /* finish what runs, within the grace time, and end */
	FRONT_REOPEN  /* open the log file again */
};

#define FRONT_TEXT_MAX 160

struct front_message {
	uint32_t order;
	uint32_t index; /* of the template's language, of the listener or of the service */
	int32_t pid;    /* the template's, or the service's */
	bool healthy;   /* of a service */
	char text[FRONT_TEXT_MAX]; /* "name", line feed, "state" */
};

struct front_setup {
	const struct config *config;        /* at the start */
	const struct config_source *source; /* of later ones */
	struct log *log;
	const struct binding *const *bindings;
	struct listener *listeners;
	size_t listener_count;
	int master;
};

#endif
