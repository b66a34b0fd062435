/* Listening sockets. */
#ifndef EXTHOST_LISTEN_H
#define EXTHOST_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct config;
struct error;
struct log;

enum listener_kind { LISTENER_UNIX, LISTENER_TCP };

struct listener {
	int fd;
	enum listener_kind kind;
	char *address;     /* as it was given, for the log */
	mode_t mode;       /* of a unix socket's file */
	struct stat place; /* the file, as it was bound */
	char *path;   /* of a unix socket that we bound, absolute, to remove it at the end; NULL */
	char *prefix; /* taken off URL paths */
	bool dead;    /* no client can reach it, and making it again failed, which was logged */
	bool control; /* `exthost status` asks here; no FastCGI */
	int app;      /* the workers of config->apps[app - 1] accept here; 0: the front does */
	bool trust_fossil; /* the peer is the relay: its FOSSIL_ variables are trusted */
};

struct listeners {
	struct listener *items;
	size_t count;
};

/*
 * Open all of config->listen, then the sockets of config->apps. Each ADDR is relay, unix:/path,
 * tcp:HOST:PORT or fd, with ,trust=fossil ,mode=OCTAL ,prefix=/PATH behind it. Without ,mode= a
 * unix socket gets mode 0600. A file left by a host that is gone is replaced; a file with a
 * listener is an error. TCP on other than loopback needs --allow-from.
 *
 * Sockets that were passed in (sd_listen_fds(3): LISTEN_FDS and LISTEN_PID; or else descriptor 0)
 * are given out in their order, one to each `fd`, and to the last `fd` all the rest. They are
 * close-on-exec from then on, and LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES are taken out of the
 * environment, so a second call finds none.
 *
 * 0, -1 with *e filled: the system's refusal; or -2 with *e filled: ADDR is not well-formed. The
 * list is empty after an error.
 */
int listeners_open(struct listeners *ls, const struct config *config, struct error *e);

/*
 * Put the control socket, mode 0600, behind the others. 0, or -1 with *e filled, and the others
 * stay open.
 */
int listeners_add_control(struct listeners *ls, const struct config *config, struct error *e);

/* The path of the control socket; the caller frees. NULL: there is none, or no memory. */
char *listener_control_path(const struct config *config);

/* True after shutdown(2), by an app that has the socket. */
bool listener_is_shut_down(const struct listener *l);

/*
 * If no client can reach the socket any more, because the file of a unix socket that we bound was
 * removed or the socket was shut down (shutdown(2)), make it again: at its path, with another
 * descriptor. true: this was done, and logged.
 */
bool listener_renew_if_dead(struct listener *l, const struct log *log);

/* Close all, remove their sockets' files if `unlink_paths`, free. */
void listeners_release(struct listeners *ls, bool unlink_paths);

#endif
