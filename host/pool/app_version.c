/*
 * A version begins NEW. What becomes of it is decided by its own loads alone: a load of an older
 * version says nothing about the present one.
 *
 *   event    in state            then                                        action
 *   -------  ------------------  ------------------------------------------  -------
 *   CHANGED  any, present        next version NEW, refusals 0                START
 *            REFUSED or RETRIED,
 *            older               -                                           GO_ON
 *            else, older         keeps_old off                               START
 *   RESET    any                 next version NEW                            START
 *   RENEWED  any                 next version NEW, keeps_old as told         START
 *   BEGUN    NEW                 TRIED                                       -
 *            REFUSED             RETRIED                                     -
 *   READY    any, present        LOADED, refusals 0                          REPLACE
 *   FAILED   any, present        REFUSED, refusals, retry_at                 GO_ON
 *            the same, changed   next version NEW, a few times in a row      START
 *   LOST     TRIED, present      NEW                                         START
 *            RETRIED, present    REFUSED                                     START
 *            LOADED, present     -                                           START
 *            any, killed         as FAILED, after a few times in a row       GO_ON
 *   ASKED    REFUSED             retry_at, after RETRY_ON_REQUEST_NS         START
 *   LOOK     REFUSED             -, at retry_at                              START
 *            else                -                                           START
 *   DIED     any                 early, hold_until                           -
 *
 * "present": the event's number is that of the present version; READY, FAILED and LOST of another
 * one change nothing. What is not in the table changes nothing.
 *
 * A failed load counts only for what it has tried: if a file has changed since it began, the files
 * of now were not tried. A load that was lost with its template, or killed for want of memory, has
 * tried nothing. A version that is refused is loaded again, at first after RETRY_NS, since the
 * fault may have been in something that is not known to belong to the app.
 */
#include "pool/app_version.h"

#include "base/clock.h"

#include <stddef.h>

#define RETRY_NS (2 * CLOCK_SECOND)
#define RETRY_MOST_NS (60 * CLOCK_SECOND)
#define RETRY_ON_REQUEST_NS (250 * CLOCK_MILLISECOND)
#define DOUBLINGS_MOST 5
#define UNCLEAR_MOST 8 /* loads that fail while files change: an app may change its own */
#define KILLED_MOST 3
#define KILLED_PAUSE_NS CLOCK_SECOND
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

static enum app_version_action begin_changed(
    struct app_version *v, const struct app_version_event *event)
{
	uint64_t settle = event->settle > 0 ? (uint64_t)event->settle : 0;

	v->refusals = v->lost = 0;
	v->settled_at = event->now + settle * CLOCK_MILLISECOND;
	return begin_next(v, false);
}

static enum app_version_action take_change(
    struct app_version *v, const struct app_version_event *event)
{
	if (event->number == v->number) {
		v->unclear = 0;
		return begin_changed(v, event);
	}
	if (app_version_is_refused(v))
		return APP_VERSION_GO_ON;
	v->keeps_old = false;
	return APP_VERSION_START;
}

static enum app_version_action take_beginning(struct app_version *v)
{
	if (v->state == APP_VERSION_NEW)
		v->state = APP_VERSION_TRIED;
	else if (v->state == APP_VERSION_REFUSED)
		v->state = APP_VERSION_RETRIED;
	return APP_VERSION_NOTHING;
}

static enum app_version_action take_success(
    struct app_version *v, const struct app_version_event *event)
{
	if (event->number != v->number)
		return APP_VERSION_NOTHING;
	v->state = APP_VERSION_LOADED;
	v->refusals = v->unclear = v->lost = 0;
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
	if (event->changed && ++v->unclear < UNCLEAR_MOST)
		return begin_changed(v, event);
	v->state = APP_VERSION_REFUSED;
	v->unclear = v->lost = 0;
	v->failures++;
	v->refusals++;
	v->refused_status = event->status;
	v->tried_at = event->tried_at;
	v->refused_at = event->now;
	v->retry_at = event->now + delay(v);
	return APP_VERSION_GO_ON;
}

/* A first kill may have been another process's fault; after more in a row loads wait. */
static enum app_version_action take_loss(
    struct app_version *v, const struct app_version_event *event)
{
	if (event->number != v->number)
		return APP_VERSION_NOTHING;
	if (event->killed && ++v->lost >= KILLED_MOST)
		return take_failure(v, event);
	if (event->killed && v->lost > 1)
		v->settled_at = event->now + KILLED_PAUSE_NS;
	if (v->state == APP_VERSION_TRIED)
		v->state = APP_VERSION_NEW;
	if (v->state == APP_VERSION_RETRIED) {
		v->state = APP_VERSION_REFUSED;
		v->retry_at = event->now;
	}
	return APP_VERSION_START;
}

static enum app_version_action take_question(
    struct app_version *v, const struct app_version_event *event)
{
	if (v->state != APP_VERSION_REFUSED)
		return APP_VERSION_NOTHING;
	if (event->now > v->refused_at + RETRY_ON_REQUEST_NS)
		v->retry_at = event->now;
	return event->now >= v->retry_at ? APP_VERSION_START : APP_VERSION_NOTHING;
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

static bool may_load(const struct app_version *v, uint64_t now)
{
	return v->state != APP_VERSION_REFUSED || now >= v->retry_at;
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
	case APP_VERSION_LOST: return take_loss(v, event);
	case APP_VERSION_ASKED: return take_question(v, event);
	case APP_VERSION_LOOK:
		return may_load(v, event->now) ? APP_VERSION_START : APP_VERSION_NOTHING;
	case APP_VERSION_BEGUN: return take_beginning(v);
	case APP_VERSION_DIED: return take_death(v, event);
	}
	return APP_VERSION_NOTHING;
}

bool app_version_is_refused(const struct app_version *v)
{
	return v->state == APP_VERSION_REFUSED || v->state == APP_VERSION_RETRIED;
}

bool app_version_may_start(const struct app_version *v, uint64_t now)
{
	return now >= v->hold_until && may_load(v, now);
}
