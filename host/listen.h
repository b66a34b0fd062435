/* Listening sockets. */
#ifndef EXTHOST_LISTEN_H
#define EXTHOST_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct error;
struct log;

enum listener_kind { LISTENER_UNIX, LISTENER_TCP };

struct listener {
	int fd;
	enum listener_kind kind;
	char *address; /* as it was given, for the log */
	char *path;    /* of a unix socket that we bound, absolute, to remove it at the end; NULL */
	char *prefix;  /* taken off URL paths */
	bool control;  /* `exthost status` asks here; no FastCGI */
	bool trust_fossil; /* FOSSIL_ variables are believed; the peer is the relay */
};

/*
 * Open one listener. ADDR is as DESIGN has it: relay, unix:/path, tcp:HOST:PORT, fd, each with
 * ,trust=fossil ,mode=OCTAL ,prefix=/PATH behind it. A unix socket gets mode 0600 unless told
 * otherwise. A file left by a host that is gone is replaced; one at which somebody listens is an
 * error. TCP on other than loopback needs --allow-from.
 *
 * 0, -1 with *e filled: the system's refusal; or -2 with *e filled: ADDR is not well-formed.
 */
int listener_open(
    struct listener *l, const char *address, const struct config *config, struct error *e);

/* The control socket, mode 0600. 0 or -1 as above. */
int listener_open_control(struct listener *l, const struct config *config, struct error *e);

/* The path of the control socket; the caller frees. NULL: there is none, or no memory. */
char *listener_control_path(const struct config *config);

/* Close, remove the socket's file if `unlink_path`, free. */
void listener_release(struct listener *l, bool unlink_path);

#endif
