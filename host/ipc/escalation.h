/*
 * How a run is ended that does not end by itself: first it is asked for its stack, for the log;
 * then the whole process group gets SIGTERM, and then SIGKILL.
 */
#ifndef EXTHOST_ESCALATION_H
#define EXTHOST_ESCALATION_H

#include <stdint.h>

struct process_handle;

enum escalation_stage {
	ESCALATION_GOES_ON, /* it may run until its deadline */
	ESCALATION_ASKED,   /* the stack was asked for; it has a second to come */
	ESCALATION_TERMED,  /* SIGTERM was sent; two seconds to end */
	ESCALATION_KILLED   /* SIGKILL was sent, and is repeated each second */
};

struct escalation {
	const struct process_handle *process;
	enum escalation_stage stage;
	uint64_t due; /* clock_now() at which the next stage begins */
	int kills;    /* times that SIGKILL was sent */
};

/* Initialize for a run that may go on until this deadline. */
void escalation_init(
    struct escalation *end, const struct process_handle *process, uint64_t deadline);

/* Ask for the stack; a second later, end the run. */
void escalation_ask(struct escalation *end);

/* End the run: SIGTERM, and later SIGKILL. Does nothing if that has begun already. */
void escalation_begin(struct escalation *end);

/* Milliseconds until the next stage begins, for poll(2); at least 0. */
int escalation_timeout(const struct escalation *end);

/*
 * Enter the next stage if its time has come. Returns the stage entered, or ESCALATION_GOES_ON if
 * none was. ESCALATION_ASKED: the deadline has passed.
 */
enum escalation_stage escalation_step(struct escalation *end);

/* The run has ended: kill what it has left in its process group. */
void escalation_sweep(const struct escalation *end);

#endif
