/*
 * How a run is brought to its end when it does not end by itself: first it is asked where it is (its
 * stack, for the log), then the whole process group gets SIGTERM, then SIGKILL.
 */
#ifndef EXTHOST_ESCALATION_H
#define EXTHOST_ESCALATION_H

#include <stdint.h>

struct process_handle;

enum escalation_stage {
	ESCALATION_GOES_ON, /* until its deadline */
	ESCALATION_ASKED,   /* where it is; the answer is awaited for a second */
	ESCALATION_TERMED,  /* SIGTERM was sent; two seconds to end */
	ESCALATION_KILLED   /* SIGKILL was sent; the kernel ends it */
};

struct escalation {
	const struct process_handle *process;
	enum escalation_stage stage;
	uint64_t due; /* of clock_now(): when the next stage begins */
	int kills;    /* how often SIGKILL was sent */
};

/* A run that may go on until this deadline. */
void escalation_init(
    struct escalation *end, const struct process_handle *process, uint64_t deadline);

/* Ask where it is, then end it. */
void escalation_ask(struct escalation *end);

/* End it, in two stages. Nothing happens if that has begun already. */
void escalation_begin(struct escalation *end);

/* Milliseconds until something is due, for poll(2); at least 0. */
int escalation_timeout(const struct escalation *end);

/*
 * To be called when it may be due. The stage that has just begun because its time had come, or
 * ESCALATION_GOES_ON if none has. ESCALATION_ASKED: the deadline has passed.
 */
enum escalation_stage escalation_step(struct escalation *end);

/* The run has ended: whatever it left in its process group is killed. */
void escalation_sweep(const struct escalation *end);

#endif
