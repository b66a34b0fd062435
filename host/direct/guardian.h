/* The guardian of a direct worker. */
#ifndef EXTHOST_GUARDIAN_H
#define EXTHOST_GUARDIAN_H

#include <sys/types.h>

struct direct_setup;
struct binding;
struct binding_run;

/*
 * Fork the direct worker. Returns in the child alone, which owns the run's channel from then on.
 * The calling process becomes its guardian, and ends with it.
 */
void guardian_fork(
    const struct binding *binding, struct binding_run *run, struct direct_setup *setup);

#endif
