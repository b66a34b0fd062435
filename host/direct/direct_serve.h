/* An app worker that serves sockets of its own: it accepts, decodes, answers and logs by itself. */
#ifndef EXTHOST_DIRECT_SERVE_H
#define EXTHOST_DIRECT_SERVE_H

struct app_loaded;
struct direct_setup;

/* Serve until the channel is closed or the worker is to retire. */
void direct_serve(struct app_loaded *app, struct direct_setup *setup) __attribute__((noreturn));

#endif
