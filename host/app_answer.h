/* The stages between a whole request and its reply, in a worker that serves sockets of its own. */
#ifndef EXTHOST_APP_ANSWER_H
#define EXTHOST_APP_ANSWER_H

#include "answer_shared.h"

struct app_loaded;
struct app_serve_setup;

struct app_answering {
	struct app_loaded *app;
	struct app_serve_setup *setup;
	struct answer_shared shared; /* for the log */
	int memory;                  /* of replies that are written to a descriptor; -1: none yet */
	bool retires;                /* the worker must answer no other request */
	bool worn;                   /* it should not begin another */
};

/* Answer a complete request, and log it. true: its connection can be used again. */
bool app_answer_request(struct app_answering *a, struct request *r);

#endif
