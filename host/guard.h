/* A thread of the front guards a run while it lasts. */
#ifndef EXTHOST_GUARD_H
#define EXTHOST_GUARD_H

#include "guarded.h"

/*
 * Watch the run from the hand-over to its end, and see to it that it ends. Then run->result is
 * filled, but for what is known of the time.
 */
void guard_run(struct run *run);

#endif
