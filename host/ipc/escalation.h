/*
 * How a run is brought to its end when it does not end by itself: first it is asked where it is (its
 * stack, for the log), then the whole process group gets SIGTERM, then SIGKILL.
 */
#ifndef EXTHOST_ESCALATION_H
#define EXTHOST_ESCALATION_H

#include <stdint.h>

struct request_process;

enum run_stage {
	RUN_GOES_ON, /* until its deadline */
	RUN_ASKED,   /* where it is; the answer is awaited for a second */
	RUN_TERMED,  /* SIGTERM was sent; two seconds to end */
	RUN_KILLED   /* SIGKILL was sent; the kernel ends it */
};

struct run_end {
	const struct request_process *process;
	enum run_stage stage;
	uint64_t due; /* of clock_now(): when the next stage begins */
	int kills;    /* how often SIGKILL was sent */
};

/* A run that may go on until this deadline. */
void run_end_init(struct run_end *end, const struct request_process *process, uint64_t deadline);

/* Ask where it is, then end it. */
void run_end_ask(struct run_end *end);

/* End it, in two stages. Nothing happens if that has begun already. */
void run_end_begin(struct run_end *end);

/* Milliseconds until something is due, for poll(2); at least 0. */
int run_end_timeout(const struct run_end *end);

/*
 * To be called when it may be due. The stage that has just begun because its time had come, or
 * RUN_GOES_ON if none has. RUN_ASKED: the deadline has passed.
 */
enum run_stage run_end_step(struct run_end *end);

/* The run has ended: whatever it left in its process group is killed. */
void run_end_sweep(const struct run_end *end);

#endif
