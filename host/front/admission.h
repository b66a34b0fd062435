/* Limits connections by the number of file descriptors: accepts none while there are too few. */
#ifndef EXTHOST_ADMISSION_H
#define EXTHOST_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct error;
struct listener;

struct admission;

/*
 * Before the host starts: raise the soft limit of RLIMIT_NOFILE, if it is too low for any process
 * of the host, as far as the hard limit allows. 0; -1 with *e if that does not suffice to serve
 * even one connection.
 */
int admission_check_descriptors(const struct config *config, int languages, struct error *e);

/*
 * In the front: raise RLIMIT_NOFILE as far as allowed. Returns the number of connections that can
 * be served within it, each with everything that its request may need: 1 to --max-connections.
 */
size_t admission_most(const struct config *config, int languages);

/*
 * Watch listeners with this epoll; the tags of their events count up from `tag`. At most `most`
 * places are taken at once. NULL: no memory.
 */
struct admission *admission_create(int epoll, uint64_t tag, size_t most);

/*
 * Add a listener, which must not move in memory. None is ever removed, since clients that have
 * connected to it are to be served. 0, or -1: there are too many.
 */
int admission_add(struct admission *a, const struct listener *l);

/* This listener of an app gets this new socket, under its old number. `fd` stays the caller's. */
void admission_replace(struct admission *a, const struct listener *l, int fd);

/*
 * on: no worker of this app can accept, so accept at the app's listeners here (to answer 500). off:
 * leave them to the workers. Off at first.
 */
void admission_stand_in(struct admission *a, int app, bool on);

/* The listener of an event whose tag is the first tag plus `index`. */
const struct listener *admission_listener(const struct admission *a, size_t index);

/*
 * To be called after each event, when its client is accepted or gone: events of this listener may
 * come again. None comes while there is no place. accepted: there was a client. A listener that was
 * shut down raises no more events, whether they are wanted or not: the master binds another.
 */
void admission_next(struct admission *a, size_t index, bool accepted);

/* Take a place, before accept(2). false: there is none, and no event comes until there is. */
bool admission_take(struct admission *a);

/* True if all places are taken and clients wait for one. */
bool admission_is_full(struct admission *a);

/* Give a place back: no client was there to be accepted, or the connection is closed. */
void admission_give_back(struct admission *a);

/* Give a place back and wait for a while: accept(2) found no descriptor or no memory. */
void admission_pause(struct admission *a);

/* To be called once a second: accept again, in case there are descriptors and memory again. */
void admission_look_again(struct admission *a);

/* Accept no more, for good. */
void admission_end(struct admission *a);

#endif
