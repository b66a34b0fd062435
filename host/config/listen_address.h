/* ADDR of --listen: relay, unix:/path, tcp:HOST:PORT or fd, and what stands behind it. */
#ifndef EXTHOST_LISTEN_ADDRESS_H
#define EXTHOST_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <sys/types.h>

struct config;
struct error;

/* ADDR taken apart. */
struct listen_address {
	char *text; /* owned; the rest points into it */
	char *place;
	const char *prefix;
	bool trust_fossil;
	mode_t mode;
};

/* 0, or -1 with *e filled; a->text is the caller's to free in either case. */
int listen_address_parse(
    struct listen_address *a, const char *text, const struct config *config, struct error *e);

/*
 * Whether trust=fossil is allowed on a TCP socket of this configuration: it needs --allow-from,
 * since a client may name any Fossil user. 0, or -1 with *e filled.
 */
int listen_address_check_trust(const struct config *config, struct error *e);

/* Whether this ADDR is well-formed and allowed; nothing is opened. 0, or -1 with *e filled. */
int listen_address_check(const char *text, const struct config *config, struct error *e);

/* The same for each ADDR of the configuration but those of its apps. */
int listen_address_check_all(const struct config *config, struct error *e);

#endif
