/*
 * A limit for the number of processes that a run starts. RLIMIT_NPROC would count all processes of
 * a user, and does not bind root. So the kernel notifies the front of each system call that would
 * create a process (seccomp_unotify(2)), and the front allows the call or refuses it. Threads are
 * not counted. If the kernel has no such notifications (Linux before 5.5), a run with a limit does
 * not begin.
 */
#ifndef EXTHOST_PROCESS_LIMIT_H
#define EXTHOST_PROCESS_LIMIT_H

#include <stdint.h>

/*
 * In the request process, for itself and all that it will start: install the filter. The descriptor
 * of the notifications, close-on-exec, or -1 with errno. Implies no_new_privs (prctl(2)).
 */
int process_limit_install(void);

/*
 * In the front: answer one notification. *left counts down; at 0 the call fails with EAGAIN, as it
 * does at RLIMIT_NPROC. 1: a call was refused; 0: none was; -1 with errno: close the descriptor.
 */
int process_limit_answer(int notices, uint64_t *left);

#endif
