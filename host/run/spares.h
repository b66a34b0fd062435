/*
 * Spares: request processes forked ahead of their requests, a pool for each language. This is the
 * front's side of the channels to the templates. Safe to call from any thread.
 */
#ifndef EXTHOST_SPARES_H
#define EXTHOST_SPARES_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct process_handle;
struct spares;

/* Keep `wanted` spares for each of `languages` languages. NULL: no memory. */
struct spares *spares_create(int languages, size_t wanted);

/*
 * Call `waits` when a thread has waited for a spare of this language for a tenth of a second, as
 * happens when the template is gone or hangs (on), and when its wait is over (off). To be set
 * before the first spare is taken.
 */
void spares_tell_waits(
    struct spares *s, void (*waits)(void *context, int language, bool on), void *context);

/*
 * Switch the language to a new template, at this channel. The spares of an earlier template are
 * released (they then end), its channel is closed, and new spares are ordered.
 */
void spares_connect(struct spares *s, int language, int channel);

/*
 * Take a request process of this language; if there is no spare, wait until one is forked. The
 * caller owns its descriptors. 0, or -1 with *e filled: the fork failed, or no template answered in
 * time.
 */
int spares_take(struct spares *s, int language, struct process_handle *p, struct error *e);

/*
 * The number of the template from which the processes of this language come now; it counts up with
 * each spares_connect. A process has its template's number in its handle.
 */
unsigned spares_template(struct spares *s, int language);

/* Order a spare in place of the one taken. For after the reply: a fork costs processor time. */
void spares_replace(struct spares *s, int language);

/* The number of spares of this language. */
size_t spares_count(struct spares *s, int language);

/* Have the templates write their log to this descriptor from now on. */
void spares_set_log(struct spares *s, int log);

/* Keep this many spares for each language from now on. */
void spares_want(struct spares *s, size_t wanted);

/* Close everything and free. No other thread may be using it. */
void spares_destroy(struct spares *s);

#endif
