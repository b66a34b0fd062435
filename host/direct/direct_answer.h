/* The stages between a whole request and its reply, in a worker that serves sockets of its own. */
#ifndef EXTHOST_DIRECT_ANSWER_H
#define EXTHOST_DIRECT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

struct app_loaded;
struct direct_setup;
struct direct_turn;
struct exchange;
struct request;

struct direct_answering {
	struct app_loaded *app;
	struct direct_setup *setup;
	int memory; /* of a rerun's replies, empty between two; -1: none */
	int errors; /* takes a request's standard error if its error page may show that; -1: none */
	int log;    /* a duplicate of the true standard error; -1: none was made yet */
	bool retires;             /* the worker is to answer no other request */
	struct direct_turn *turn; /* the request that the app is at; NULL: none */
	uint32_t place;           /* index of the request's connection */
	bool keeps;               /* the connection takes other requests */
};

/* Show in the slot a request that has begun to come on the connection with this index. */
void direct_answer_show(const struct direct_setup *setup, const struct request *r, uint32_t place);

/* Answer a complete request, which was shown at a->place, and log it. */
void direct_answer_request(struct direct_answering *a, struct exchange *x);

/* The app ends its process with this status, and so the reply: it is whole if that is 0. */
void direct_answer_end(void *answering, int status);

#endif
