/*
 * What runs have started, when the template above them died: it comes to the master, which is the
 * reaper of all that descends from it.
 */
#ifndef EXTHOST_ORPHANS_H
#define EXTHOST_ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Kill those children of this process that runs have left behind. `is_known` tells of a process
 * group whether it belongs to somebody else; that of this process does.
 */
void orphans_kill(bool (*is_known)(const void *who, pid_t group), const void *who);

#endif
