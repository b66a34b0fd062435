/*
 * How many processes a run may start. RLIMIT_NPROC counts all processes of a user, and not at all for
 * root; so the system calls that make a process are told to the front (seccomp_unotify(2)), which
 * lets them happen or not. Threads are not counted. Where the kernel has no such notice (Linux
 * before 5.5), a run with a limit does not begin.
 */
#ifndef EXTHOST_PROCESS_LIMIT_H
#define EXTHOST_PROCESS_LIMIT_H

#include <stdint.h>

/*
 * In the request process, for itself and all that it will start: a descriptor on which the
 * notices come, close-on-exec, or -1 with errno. It implies no_new_privs (prctl(2)).
 */
int process_limit_install(void);

/*
 * In the front: answer one notice. *left counts down; at 0 a fork fails with EAGAIN, as it does at
 * RLIMIT_NPROC. 1: one was refused, 0: none was, -1 with errno: the descriptor is of no more use.
 */
int process_limit_answer(int notices, uint64_t *left);

#endif
