/*
 * The time without an answer is counted in looks of this process, and not by the clock. If the
 * whole host stands still for a minute (a frozen container, a stopped virtual machine), this
 * process has looked no more often than the other could answer.
 */
#include "master/heartbeat.h"

#include "base/clock.h"

#define LOOK_EVERY_NS (CLOCK_SECOND / 4) /* while an answer is awaited */
#define LOOKS_LATE 2
#define LOOKS_FIRST 40 /* for the first answer: the process has to start */

void heartbeat_begin(struct heartbeat *h, uint64_t every, uint64_t patience)
{
	*h = (struct heartbeat){
	    .every = every, .patience = (unsigned)(patience / LOOK_EVERY_NS), .due = clock_now()};
}

void heartbeat_end(struct heartbeat *h)
{
	*h = (struct heartbeat){0};
}

enum heartbeat_step heartbeat_step(struct heartbeat *h)
{
	uint64_t now = clock_now();

	if (h->due == 0 || now < h->due)
		return HEARTBEAT_WAIT;
	h->due = now + LOOK_EVERY_NS;
	if (!h->asked) {
		h->asked = true;
		h->pinged = now;
		h->looks = 0;
		return HEARTBEAT_PING;
	}
	h->looks++;
	if (h->looks >= (h->has_answered ? h->patience : LOOKS_FIRST))
		return HEARTBEAT_LOST;
	return h->looks == LOOKS_LATE ? HEARTBEAT_LATE : HEARTBEAT_WAIT;
}

bool heartbeat_answer(struct heartbeat *h)
{
	bool late = heartbeat_is_late(h);

	if (!h->asked)
		return false;
	h->asked = false;
	h->has_answered = true;
	h->due = h->pinged + h->every;
	return late;
}

bool heartbeat_is_late(const struct heartbeat *h)
{
	return h->asked && h->looks >= LOOKS_LATE;
}
