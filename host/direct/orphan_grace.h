/*
 * A direct worker whose guardian has died answers its request, and then ends. So whoever kills the
 * processes that a run has left behind grants such workers a moment. An extension can pretend to be
 * one; it gets that moment too, and nothing waits for it.
 */
#ifndef EXTHOST_ORPHAN_GRACE_H
#define EXTHOST_ORPHAN_GRACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The kernel sends it to a direct worker when its guardian dies. */
#define ORPHAN_SIGNAL (SIGRTMAX - 1)

struct orphan_grace {
	uint64_t end; /* clock_now() at which the moment is over; 0: it is granted to no process */
	bool granted; /* in this round */
};

/* A round of kills begins, ends. In between the question for each process: must it be spared? */
void orphan_grace_begin(struct orphan_grace *g);
bool orphan_grace_spares(struct orphan_grace *g, pid_t pid);
void orphan_grace_finish(struct orphan_grace *g);

/* Milliseconds until another round must be made, for poll(2); -1: none must. */
int orphan_grace_left(const struct orphan_grace *g);

#endif
