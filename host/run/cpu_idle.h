/*
 * Whether this machine has idle processor time. Work that makes the next request faster but costs
 * processor time is worth doing only then. Safe to call from any thread.
 */
#ifndef EXTHOST_CPU_IDLE_H
#define EXTHOST_CPU_IDLE_H

#include <stdbool.h>

struct cpu_idle;

/* NULL: no memory. Without /proc, cpu_has_idle_time is always true. */
struct cpu_idle *cpu_idle_create(void);

/*
 * True if at least a quarter of all processor time was idle in the last sample (50 ms or longer).
 */
bool cpu_has_idle_time(struct cpu_idle *i);

void cpu_idle_destroy(struct cpu_idle *i);

#endif
