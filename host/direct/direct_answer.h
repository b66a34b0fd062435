/* The stages between a whole request and its reply, in a worker that serves sockets of its own. */
#ifndef EXTHOST_DIRECT_ANSWER_H
#define EXTHOST_DIRECT_ANSWER_H

#include "front/answer_shared.h"

struct app_loaded;
struct direct_setup;
struct app_turn;

struct direct_answering {
	struct app_loaded *app;
	struct direct_setup *setup;
	struct answer_shared shared; /* for the log */
	int memory;                  /* of a rerun's replies, empty between two; -1: none */
	/* With --debug what a request writes to standard error is for its error page too. */
	int errors, log;       /* a file in its place meanwhile, and the true one */
	bool retires;          /* the worker is to answer no other request */
	struct app_turn *turn; /* the request that the app is at; NULL: none */
};

/* Answer a complete request, and log it. true: its connection can be used again. */
bool direct_answer_request(struct direct_answering *a, struct request *r);

/* The app ends its process with this status, and so the reply: it is whole if that is 0. */
void direct_answer_end(void *answering, int status);

#endif
