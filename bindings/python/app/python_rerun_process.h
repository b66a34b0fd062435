/* Rerun: what the kernel and the C library know of the process. */
#ifndef EXTHOST_PYTHON_RERUN_PROCESS_H
#define EXTHOST_PYTHON_RERUN_PROCESS_H

#include <stdbool.h>

/* Remember the state of the process. Returns 0 or -1. */
int rerun_process_keep(void);

/* Make descriptor 0 the body (-1: empty) and 1 the reply. Returns 0, or -1 with errno. */
int rerun_process_lend(int body, int reply);

/* Make descriptor 1 /dev/null. Returns 0, or -1 with errno. */
int rerun_process_silence(void);

/* Restore descriptors 0, 1 and 2. Returns 0, or -1 with errno. */
int rerun_process_return(void);

/* True if other descriptors are open than when rerun_process_lend was called. */
bool rerun_process_has_files(void);

/* Restore everything else. Returns false if something cannot be restored. */
bool rerun_process_restore(void);

#endif
