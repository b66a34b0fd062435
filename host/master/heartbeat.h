/*
 * Whether a child process still answers. Its keeper sends a ping from time to time, and kills the
 * process when no answer has come. All times are of clock_now().
 */
#ifndef EXTHOST_HEARTBEAT_H
#define EXTHOST_HEARTBEAT_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define HEARTBEAT_EVERY_NS (CLOCK_SECOND / 2) /* between two pings, unless more are asked for */

struct heartbeat {
	uint64_t every;    /* nanoseconds between two pings */
	unsigned patience; /* steps without an answer after which the process counts as hung */
	uint64_t due;      /* time of the next step; 0: there is no process */
	uint64_t pinged;   /* time of the last ping */
	unsigned looks;    /* steps since the last ping, without an answer */
	bool asked;        /* the last ping is not answered yet */
	bool has_answered; /* at least once */
};

enum heartbeat_step {
	HEARTBEAT_WAIT, /* nothing to do before `due` */
	HEARTBEAT_PING, /* send a ping */
	HEARTBEAT_LATE, /* half a second without an answer */
	HEARTBEAT_LOST  /* as long as its patience without an answer; 10 s if there never was one */
};

/*
 * A new process: the first ping is due at once, then one each `every` nanoseconds. After `patience`
 * nanoseconds without an answer it counts as hung.
 */
void heartbeat_begin(struct heartbeat *h, uint64_t every, uint64_t patience);

/* There is no process any more. */
void heartbeat_end(struct heartbeat *h);

/* To be called at h->due; before it the answer is HEARTBEAT_WAIT. */
enum heartbeat_step heartbeat_step(struct heartbeat *h);

/* The answer to the ping has come. true: HEARTBEAT_LATE was returned before. */
bool heartbeat_answer(struct heartbeat *h);

/* True from HEARTBEAT_LATE to the answer. */
bool heartbeat_is_late(const struct heartbeat *h);

#endif
