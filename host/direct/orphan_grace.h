/*
 * A direct worker whose guardian has died answers its request, and then ends. So the master and the
 * templates, when they kill the processes that runs have left behind, grant such workers half a
 * second. An extension can pretend to be a direct worker; it gets that time too, and nothing waits
 * for it.
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
	uint64_t end; /* clock_now() at which the grace ends; 0: no process has it */
	bool granted; /* to a process in this round */
};

/* Begin a round of kills, and end it. */
void orphan_grace_begin(struct orphan_grace *g);
void orphan_grace_finish(struct orphan_grace *g);

/* Within a round, for each process: true if it must be spared this time. */
bool orphan_grace_spares(struct orphan_grace *g, pid_t pid);

/* Milliseconds until the next round is due, for poll(2); -1: no round is due. */
int orphan_grace_left(const struct orphan_grace *g);

#endif
