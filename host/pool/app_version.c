/*
 * A version begins NEW. What becomes of it is decided by its own loads alone: a load of an older
 * version says nothing about the present one.
 *
 *   event    in state      then                                             action
 *   -------  ------------  -----------------------------------------------  -------
 *   CHANGED  any, present  next version NEW, refusals 0                     START
 *            any, older    keeps_old off                                    START
 *   RESET    any           next version NEW                                 START
 *   RENEWED  any           next version NEW, keeps_old as the event says    START
 *   BEGUN    any           retry_at                                         -
 *   READY    any, present  LOADED, refusals 0                               REPLACE
 *   FAILED   any, present  REFUSED, failures, refusals, retry_at            GO_ON
 *   ASKED    REFUSED       NEW, if changed or RETRY_ON_REQUEST_NS have passed  START
 *   LOOK     REFUSED       NEW, at retry_at                                 START
 *            else          -                                                START
 *   DIED     any           early, hold_until                                -
 *
 * "present": the event's number is that of the present version; READY and FAILED of another one
 * change nothing. A version that is refused is loaded again, at first after RETRY_NS, since the
 * fault may have been in something that is not known to belong to the app.
 */
#include "pool/app_version.h"

#include "base/clock.h"

#include <stddef.h>

#define RETRY_NS (2 * CLOCK_SECOND)
#define RETRY_MOST_NS (60 * CLOCK_SECOND)
#define RETRY_ON_REQUEST_NS (250 * CLOCK_MILLISECOND)
#define DOUBLINGS_MOST 5
#define EARLY_DEATH_NS CLOCK_SECOND /* a worker that dies sooner after its load may do so again */

struct app_version app_version_first(bool retries_alone)
{
	return (struct app_version){.number = 1, .retries_alone = retries_alone};
}

static enum app_version_action begin_next(struct app_version *v, bool keeps_old)
{
	v->number++;
	v->state = APP_VERSION_NEW;
	v->keeps_old = keeps_old;
	return APP_VERSION_START;
}

static enum app_version_action take_change(
    struct app_version *v, const struct app_version_event *event)
{
	uint64_t settle = event->settle > 0 ? (uint64_t)event->settle : 0;

	if (event->number != v->number) {
		v->keeps_old = false;
		return APP_VERSION_START;
	}
	v->refusals = 0;
	v->settled_at = event->now + settle * CLOCK_MILLISECOND;
	return begin_next(v, false);
}

static enum app_version_action take_success(
    struct app_version *v, const struct app_version_event *event)
{
	if (event->number != v->number)
		return APP_VERSION_NOTHING;
	v->state = APP_VERSION_LOADED;
	v->refusals = 0;
	return APP_VERSION_REPLACE;
}

/* Nanoseconds until the next load: twice as long after each, if no request asks for one. */
static uint64_t delay(const struct app_version *v)
{
	unsigned doublings = v->refusals <= DOUBLINGS_MOST ? v->refusals - 1 : DOUBLINGS_MOST;
	uint64_t result = RETRY_NS << (v->retries_alone ? doublings : 0);

	return result < RETRY_MOST_NS ? result : RETRY_MOST_NS;
}

static enum app_version_action take_failure(
    struct app_version *v, const struct app_version_event *event)
{
	if (event->number != v->number)
		return APP_VERSION_NOTHING;
	v->state = APP_VERSION_REFUSED;
	v->failures++;
	v->refusals++;
	v->refused_status = event->status;
	v->tried_at = event->tried_at;
	v->refused_at = event->now;
	v->retry_at = event->now + delay(v);
	return APP_VERSION_GO_ON;
}

static enum app_version_action try_again(struct app_version *v, bool due)
{
	if (v->state == APP_VERSION_REFUSED && !due)
		return APP_VERSION_NOTHING;
	if (v->state == APP_VERSION_REFUSED)
		v->state = APP_VERSION_NEW;
	return APP_VERSION_START;
}

/* After a first early death the next worker starts at once; after more in a row it waits. */
static enum app_version_action take_death(
    struct app_version *v, const struct app_version_event *event)
{
	v->early = event->age < EARLY_DEATH_NS ? v->early + 1 : 0;
	if (v->early > 1)
		v->hold_until = event->now + EARLY_DEATH_NS;
	return APP_VERSION_NOTHING;
}

enum app_version_action app_version_step(
    struct app_version *v, const struct app_version_event *event)
{
	switch (event->kind) {
	case APP_VERSION_CHANGED: return take_change(v, event);
	case APP_VERSION_RESET: return begin_next(v, false);
	case APP_VERSION_RENEWED: return begin_next(v, event->keeps_old);
	case APP_VERSION_READY: return take_success(v, event);
	case APP_VERSION_FAILED: return take_failure(v, event);
	case APP_VERSION_ASKED:
		return try_again(
		    v, event->changed || event->now > v->refused_at + RETRY_ON_REQUEST_NS);
	case APP_VERSION_LOOK: return try_again(v, event->now >= v->retry_at);
	case APP_VERSION_DIED: return take_death(v, event);
	case APP_VERSION_BEGUN: v->retry_at = event->now + RETRY_NS; break;
	}
	return APP_VERSION_NOTHING;
}

bool app_version_is_refused(const struct app_version *v)
{
	return v->state == APP_VERSION_REFUSED;
}

bool app_version_may_start(const struct app_version *v, uint64_t now)
{
	return now >= v->hold_until;
}
