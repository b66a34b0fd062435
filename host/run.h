/* One run of a script, as the front sees it: hand over, guard, and say how it ended. */
#ifndef EXTHOST_RUN_H
#define EXTHOST_RUN_H

#include "buffer.h"

#include <stdbool.h>
#include <stddef.h>

struct error;
struct log;
struct noticed;
struct reply;
struct request;
struct route;
struct scripts;
struct spares;

/* What runs share. */
struct run_shared {
	const char *root;
	struct spares *spares;
	struct scripts *scripts;
	struct noticed *noticed; /* modules that scripts load; may be NULL */
	const struct log *log;
};

struct run_result {
	bool whole;           /* the script ended well: what it wrote is a reply */
	int status;           /* if not: the HTTP status of the failure */
	bool client_gone;     /* nobody waits for an answer any more */
	char reason[256];     /* why, for the log */
	struct buffer errors; /* the end of what it wrote to standard error; the caller's to free */
};

/*
 * Run the script that the route found, feeding its output to `reply`, its standard error to the
 * log, line by line, until it ends. The request's variables must be complete.
 */
void run_script(const struct run_shared *shared, struct request *request, const struct route *route,
    int language, int code, struct reply *reply, struct run_result *result);

#endif
