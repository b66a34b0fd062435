/* The messages of the master to the front, and what the front is given at its start. */
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

/*
 * Orders of the master to the front, over the SOCK_SEQPACKET `master`. On the same socket the front
 * sends FRONT_ANSWER for each ping, and the names of modules to preload, "language:module".
 */
#define FRONT_ANSWER "answer"

enum front_order {
	/* With a descriptor: the channel of the template that forks from now on. */
	FRONT_TEMPLATE = 1,
	FRONT_LISTENER, /* with a descriptor: a listener's socket, rebound */
	FRONT_SERVICES, /* the number of services is `index`; a FRONT_SERVICE for each follows */
	FRONT_SERVICE,  /* for status: a service's name and state in `text` */
	/* Reload the configuration; with a descriptor of its text, if it has a file. */
	FRONT_RELOAD,
	FRONT_STOP,   /* finish the requests in progress, within the grace time, and end */
	FRONT_REOPEN, /* reopen the log file */
	/* For status: the pid of the template that serves (0: none), and whether it answers. */
	FRONT_TEMPLATE_STATE,
	FRONT_PING /* answer, to show that the front does not hang */
};

#define FRONT_TEXT_MAX 160

struct front_message {
	uint32_t order;
	uint32_t index; /* of the template's language, of the listener or of the service */
	int32_t pid;    /* the template's, or the service's */
	bool healthy;   /* service: it runs, or has ended and need not run; template: it answers */
	char text[FRONT_TEXT_MAX]; /* "name", line feed, "state" */
};

struct front_setup {
	const struct config *config;        /* at the start */
	const struct config_source *source; /* for reloads */
	struct log *log;
	const struct binding *const *bindings;
	struct listener *listeners;
	size_t listener_count;
	int master;
};

#endif
