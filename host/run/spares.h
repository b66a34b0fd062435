/*
 * Request processes forked ahead, per language, on the front's side of the templates' channels.
 * Safe to call from any thread.
 */
#ifndef EXTHOST_SPARES_H
#define EXTHOST_SPARES_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct process_handle;
struct spares;

/* `wanted` spares are kept for each of `languages` languages. NULL: no memory. */
struct spares *spares_create(int languages, size_t wanted);

/*
 * From now on this template forks for the language. Spares of an earlier one are let go (they end
 * by themselves), its channel is closed, and new ones are asked for.
 */
void spares_connect(struct spares *s, int language, int channel);

/*
 * Take a request process of this language, waiting until one is forked when none is ahead.
 * The caller owns its descriptors. 0, or -1 with *e filled: the fork failed, or no template came
 * within a deadline of some seconds.
 */
int spares_take(struct spares *s, int language, struct process_handle *p, struct error *e);

/* Have one forked in place of the one taken. For after the reply: it costs time on a processor. */
void spares_replace(struct spares *s, int language);

/* How many of this language are forked ahead now. */
size_t spares_count(struct spares *s, int language);

/* From now on the templates write the log to this descriptor. */
void spares_set_log(struct spares *s, int log);

/* From now on so many are kept for each language. */
void spares_want(struct spares *s, size_t wanted);

/* Close everything and free. Nobody may be taking one. */
void spares_destroy(struct spares *s);

#endif
