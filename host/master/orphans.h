/*
 * Processes that runs have started and left behind. When the template above them dies, they become
 * children of the master, which is the reaper of all its descendants.
 */
#ifndef EXTHOST_ORPHANS_H
#define EXTHOST_ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

struct orphan_grace;

/*
 * Kill the children of this process that runs have left behind. Spared are the process group of
 * this process and those for which is_known() returns true (with `who` as its argument), and for
 * a moment direct workers that answer; *grace tells when to call this again.
 */
void orphans_kill(
    bool (*is_known)(const void *who, pid_t group), const void *who, struct orphan_grace *grace);

#endif
