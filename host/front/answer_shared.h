/* What all answers share. */
#ifndef EXTHOST_ANSWER_SHARED_H
#define EXTHOST_ANSWER_SHARED_H

#include "run/run_state.h"

#include <stdbool.h>

struct config;
struct lanes;
struct status_sources;

struct answer_shared {
	struct run_shared run;
	const struct config *config;
	struct lanes *lanes;           /* NULL: nothing is limited */
	struct status_sources *status; /* for --metrics; NULL: there are none */
	int root;                      /* descriptor of the extension root */
	bool quiet;                    /* log failures only, not every request */
};

#endif
