/* The guardian of an app worker that serves sockets of its own. */
#ifndef EXTHOST_GUARDIAN_H
#define EXTHOST_GUARDIAN_H

struct direct_setup;
struct binding;
struct binding_run;

/*
 * Fork the worker: returns in the child, with the run made the child's. The calling process becomes
 * its guardian, and ends with it.
 */
void guardian_fork(
    const struct binding *binding, struct binding_run *run, struct direct_setup *setup);

#endif
