/* The commands of the tiny language. */
#ifndef EXTHOST_TINY_WORDS_H
#define EXTHOST_TINY_WORDS_H

#include "host/base/buffer.h"

#include <stdbool.h>

struct binding_app;
struct binding_run;
struct error;

/* One script in progress. */
struct program {
	struct binding_run *run; /* NULL in the plain interpreter */
	struct buffer text;
	bool is_kept; /* the text is what an earlier run has kept */
	int status;
	bool ended;
	const char *only; /* lines that begin so, now; NULL: those that are for no other time */
	bool retires;
	unsigned long count;     /* of the requests to an app */
	struct binding_app *app; /* NULL: it is none */
	char taken[256];
	char *later;
	void *held;
};

/* Do one line, which is changed on that. */
void tiny_do(struct program *program, char *line);

/* What is being done: "spin"; "" if nothing is. Safe in a signal handler. */
const char *tiny_present(void);

/* Is there such a file beside the script? */
bool tiny_is_there(const struct program *program, const char *name);

/* Modules: is it loaded? Load it: 0, or -1 with *e. */
bool tiny_has_module(const char *name);
int tiny_load_module(const char *name, struct error *e);

#endif
