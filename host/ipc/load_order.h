/*
 * The order to load an app: the settings that an app worker gets once, for all its life. The front
 * packs it into strings, the worker unpacks them; both are here, over one table of the fields. What
 * a CGI script gets as well is not part of it: script, limits and the language's
 * own settings come with the struct run_order that carries the strings. Sockets come with the
 * struct run_serve_files behind it.
 */
#ifndef EXTHOST_LOAD_ORDER_H
#define EXTHOST_LOAD_ORDER_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct error;

struct load_order {
	/* For every app worker. */
	const char *root; /* absolute path of the extension root, without a slash at its end */
	bool rerun;       /* the script is a CGI script, run again for each request */
	bool debug;       /* --debug: show tracebacks to everybody */
	bool validate;    /* --validate: check what the app does */
	uint64_t cpu;     /* seconds of processor time for each request; UINT64_MAX: no limit */
	uint64_t max_requests; /* retire after so many requests; UINT64_MAX: never */
	uint64_t max_rss; /* retire with more resident bytes after a request; UINT64_MAX: never */
	struct config_list environment; /* variables of the app's process, "NAME=VALUE" */
	bool serves; /* the worker is a direct worker: it serves sockets of its own */

	/* For a direct worker; without meaning if it is none. */
	const char *name;              /* path of the script beneath the extension root */
	const char *prefix;            /* part of a URL's path that is SCRIPT_NAME; "": none */
	const char *tmpdir;            /* directory for large bodies */
	struct config_list allow_uid;  /* numbers of users who may connect to unix sockets */
	struct config_list allow_gid;  /* numbers of groups whose members may */
	struct config_list allow_from; /* addresses and CIDR blocks that may connect over TCP */
	bool log_json;                 /* log lines are JSON */
	uint64_t log_level;            /* enum log_level: lines below it are not written */
	uint64_t max_connections;      /* open at once */
	uint64_t max_header;           /* bytes of the variables of one request */
	uint64_t max_body;             /* bytes of a request body */
	uint64_t max_reply;            /* bytes of a reply that is held to its end */
	uint64_t reply_buffer;         /* bytes of a reply that are held back */
	uint64_t timeout;              /* seconds that a request may take */
	uint64_t body_timeout;         /* seconds for a request body to come */
};

/*
 * The order as strings "NAME=value", ended by NULL, for the environment of a struct run_order.
 * NULL: no memory. Free with load_order_free.
 */
char **load_order_pack(const struct load_order *order);
void load_order_free(char **strings);

/*
 * The order that these strings are; its texts point into them, its lists are to be released. 0, or
 * -1 with *e, and nothing to be released: a string is no field, a value is none of its field, a
 * field stands there twice or is missing.
 */
int load_order_unpack(struct load_order *order, char *const *strings, struct error *e);

/* Free the lists of an order that load_order_unpack has filled. */
void load_order_release(struct load_order *order);

#endif
