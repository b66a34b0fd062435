/* An app worker, in its own process: it has loaded one app and answers one request after another. */
#ifndef EXTHOST_APP_WORKER_H
#define EXTHOST_APP_WORKER_H

struct binding;
struct binding_run;
struct run_order;

/*
 * In a request process that was told to: load the app, and answer until the channel is closed or the
 * worker is to retire. Limits, working folder and descriptors are set, but for descriptor 1.
 */
void app_worker_main(const struct binding *binding, struct binding_run *run,
    const struct run_order *order) __attribute__((noreturn));

#endif
