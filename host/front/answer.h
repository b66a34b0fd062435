/* The stages of a request in the front, once it is decoded. */
#ifndef EXTHOST_ANSWER_H
#define EXTHOST_ANSWER_H

#include "run/run_state.h"

#include <stdbool.h>

struct exchange;
struct lanes;
struct status_sources;

/* Shared by all requests. */
struct front_shared {
	struct run_shared run;
	struct lanes *lanes;           /* NULL: runs are not limited */
	struct status_sources *status; /* for --metrics; NULL: no metrics */
	int root;                      /* descriptor of the extension root */
};

/*
 * Answer a complete request. `prefix` is removed from its path; a request from the relay names its
 * script by path instead.
 */
void answer_request(const struct front_shared *shared, struct exchange *x, const char *prefix);

/*
 * The last stages of every request, also of a refused one: count, log, release. true: the
 * connection can be used again.
 */
bool answer_end(const struct front_shared *shared, struct exchange *x);

#endif
