/*
 * An app worker, in its own process: it has loaded one app and answers one request after another.
 */
#ifndef EXTHOST_APP_WORKER_H
#define EXTHOST_APP_WORKER_H

struct binding;
struct binding_run;
struct run_order;

/*
 * Become an app worker, in a request process: load the app of the order, and answer until the
 * channel is closed or the worker retires. Limits, working directory and descriptors are set,
 * except for descriptor 1.
 */
void app_worker_main(const struct binding *binding, struct binding_run *run,
    const struct run_order *order) __attribute__((noreturn));

#endif
