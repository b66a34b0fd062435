/* Requests that the front brings. */
#ifndef EXTHOST_APP_ORDERS_H
#define EXTHOST_APP_ORDERS_H

struct app_loaded;

/* Answer one after another, until the channel is closed or the worker is to retire. */
void app_orders_follow(struct app_loaded *a) __attribute__((noreturn));

#endif
