/*
 * Whether a processor of this machine has time to spare: what makes the next request faster and
 * costs processor time is worth doing only then. Safe to call from any thread.
 */
#ifndef EXTHOST_CPU_IDLE_H
#define EXTHOST_CPU_IDLE_H

#include <stdbool.h>

struct idle;

/* NULL: no memory. Where the kernel does not tell (no /proc), the answer is always true. */
struct idle *idle_create(void);

/* From the last twentieth of a second or more, as it was last looked at. */
bool idle_is(struct idle *i);

void idle_destroy(struct idle *i);

#endif
