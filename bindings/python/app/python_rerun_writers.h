/* Rerun: the files that may still buffer output when a run has ended. */
#ifndef EXTHOST_PYTHON_RERUN_WRITERS_H
#define EXTHOST_PYTHON_RERUN_WRITERS_H

#include <stdbool.h>

/* Remember the present files, and note new ones from now on. Returns 0 or -1. */
int rerun_writers_keep(void);

/*
 * True if a run has changed what cannot be restored: a resource limit was set, or an audit hook was
 * added.
 */
bool rerun_writers_heard_of_change(void);

/* After a run, before objects are frozen: find the files for writing that it left. */
void rerun_writers_look(void);

/* Flush all of them. Returns false if some output could not be written and is buffered still. */
bool rerun_writers_flush(void);

#endif
