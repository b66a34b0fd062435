/*
 * Whether a processor of this machine has time to spare: what makes the next request faster and
 * costs processor time is worth doing only then. Safe to call from any thread.
 */
#ifndef EXTHOST_CPU_IDLE_H
#define EXTHOST_CPU_IDLE_H

#include <stdbool.h>

struct cpu_idle;

/* NULL: no memory. Where the kernel does not tell (no /proc), the answer is always true. */
struct cpu_idle *cpu_idle_create(void);

/* From the last twentieth of a second or more, as it was last looked at. */
bool cpu_has_idle_time(struct cpu_idle *i);

void cpu_idle_destroy(struct cpu_idle *i);

#endif
