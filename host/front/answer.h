/* The stages of a request in the front, once it is decoded. */
#ifndef EXTHOST_ANSWER_H
#define EXTHOST_ANSWER_H

#include "run/run_state.h"

#include <stdbool.h>

struct exchange;
struct lanes;
struct status_sources;

/* What all answers share. */
struct front_shared {
	struct run_shared run;
	struct lanes *lanes;           /* NULL: nothing is limited */
	struct status_sources *status; /* for --metrics; NULL: there are none */
	int root;                      /* descriptor of the extension root */
};

/*
 * Answer a complete request. `prefix` is taken off its path; a request from the relay names its
 * script by path instead.
 */
void answer_request(const struct front_shared *shared, struct exchange *x, const char *prefix);

/* The last stages of every request, also of one that was refused: as exchange_release. */
bool answer_end(const struct front_shared *shared, struct exchange *x);

#endif
