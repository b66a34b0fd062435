/* The event loop of an app worker. */
#ifndef EXTHOST_TCL_WAIT_H
#define EXTHOST_TCL_WAIT_H

#include <stdbool.h>

/* From now on Tcl waits for events by poll(2), in the waiting thread itself. */
void tcl_wait_start(void);

/* struct binding: wait. */
bool tcl_wait(int descriptor);

#endif
