/* The orders of a plain app worker: requests that the front sends. */
#ifndef EXTHOST_APP_ORDERS_H
#define EXTHOST_APP_ORDERS_H

struct app_loaded;

/* Answer one request after another until the channel is closed or the worker retires, then exit. */
void app_orders_follow(struct app_loaded *a) __attribute__((noreturn));

#endif
