/* What a process inherits from its parent: listening sockets, and ignored signals. */
#ifndef EXTHOST_LISTEN_INHERITED_H
#define EXTHOST_LISTEN_INHERITED_H

#include <stdbool.h>

struct error;

/* The sockets that are not taken yet: descriptors `next` to `end` - 1. */
struct listen_inherited {
	int next, end;
};

/*
 * Find them, as sd_listen_fds(3) does: LISTEN_FDS of them from descriptor 3 up, if LISTEN_PID is
 * this process, and all are made close-on-exec. Else descriptor 0 may be one, as spawn-fcgi has it.
 * LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES are removed from the environment, for whatever process
 * they were meant, so a second call finds none.
 */
void listen_inherited_find(struct listen_inherited *in);

/* Whether there is another one to take. */
bool listen_inherited_left(const struct listen_inherited *in);

/*
 * Take the next one, and tell the number it came by and its family: AF_UNIX, AF_INET or AF_INET6.
 * Returns the descriptor, close-on-exec and the caller's to close, or -1 with *e filled: there is
 * none left, or it is no stream socket that listens.
 */
int listen_inherited_take(struct listen_inherited *in, int *given, int *family, struct error *e);

/*
 * Whether this signal has been ignored since before the program began, and must stay so: programs
 * that a shell starts in the background ignore SIGINT, since Ctrl-C is meant for the foreground.
 */
bool listen_inherited_ignores(int number);

#endif
