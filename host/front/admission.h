/* How many connections there may be by the number of descriptors, and when to accept no more. */
#ifndef EXTHOST_ADMISSION_H
#define EXTHOST_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct listener;

struct admission;

/*
 * Raise the limit of descriptors as far as allowed. The number of connections that can be served
 * within it, each with all that its request may need, at least 1; or SIZE_MAX if --max-connections
 * is the narrower limit.
 */
size_t admission_most(const struct config *config, int languages);

/*
 * Listen with this epoll; events' tags count up from `tag`. Never are more than `most` places taken.
 * NULL: no memory.
 */
struct admission *admission_create(int epoll, uint64_t tag, size_t most);

/*
 * One more listener, which must stay where it is: none is ever taken away, since who has connected
 * to it is served. 0, or -1: there is no place for it.
 */
int admission_add(struct admission *a, const struct listener *l);

/*
 * The listeners of this app, which have been added as all others, are nobody's but its workers' until it
 * is said here that there are none to accept (on), and again when there are (off).
 */
void admission_stand_in(struct admission *a, int app, bool on);

/* The listener of an event whose tag was `index` above the first. */
const struct listener *admission_listener(const struct admission *a, size_t index);

/*
 * After each event, when its client is accepted (or was not there): the next one's may come. None comes
 * while there is no place.
 */
void admission_next(struct admission *a, size_t index);

/* Take a place, before accept(2). false: there is none, and no event comes until there is. */
bool admission_take(struct admission *a);

/* Give one back: nobody was there to be accepted, or the connection is closed. */
void admission_give_back(struct admission *a);

/* Give one back, with no event for a while: accept(2) found no descriptor or no memory. */
void admission_pause(struct admission *a);

/* Once a second: what was short may be there again. */
void admission_look_again(struct admission *a);

/* Accept no more, ever. */
void admission_end(struct admission *a);

#endif
