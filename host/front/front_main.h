/* The front: accepts, decodes, routes, guards every run, writes the reply, logs. C only. */
#ifndef EXTHOST_FRONT_MAIN_H
#define EXTHOST_FRONT_MAIN_H

struct front_setup;

/*
 * Run the front. The process exits with 0 after FRONT_STOP or when the master is gone, with 1 when
 * it cannot start.
 */
void front_main(const struct front_setup *setup) __attribute__((noreturn));

#endif
