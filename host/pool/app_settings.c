/*
 * What a worker is told when it loads holds for its life; when that changes, so must the worker. All
 * else is looked up at each request.
 */
#include "pool/app.h"

#include "run/run_state.h"

#include <stdlib.h>
#include <string.h>

/* 1: another text than before; 0: the same; -1: no memory. */
static int set_text(char **place, const char *text)
{
	char *copy;

	if (*place != NULL && strcmp(*place, text) == 0)
		return 0;
	copy = strdup(text);
	if (copy == NULL)
		return -1;
	free(*place);
	*place = copy;
	return 1;
}

int app_copy_extension_settings(struct app_settings *to, const struct extension_settings *extension)
{
	int path = set_text(&to->extension.python_path, extension->python_path);
	int venv = set_text(&to->extension.python_venv, extension->python_venv);
	int tcl = set_text(&to->extension.tcl_path, extension->tcl_path);

	return path < 0 || venv < 0 || tcl < 0 ? -1 : path | venv | tcl;
}

static bool loads_alike(const struct app_settings *a, const struct app_settings *b)
{
	return a->language == b->language && a->rerun == b->rerun && a->debug == b->debug &&
	       a->limits.memory == b->limits.memory && a->limits.cpu == b->limits.cpu &&
	       a->limits.processes == b->limits.processes &&
	       a->limits.max_requests == b->limits.max_requests &&
	       a->limits.max_rss == b->limits.max_rss;
}

int app_settings_take(struct app_settings *to, const struct run_job *job, bool *changed)
{
	const struct app_settings next = {.language = job->found->language,
	    .rerun = job->found->kind == SCRIPT_RERUN,
	    .debug = job->debug,
	    .strict = strcmp(job->extension->reload, "strict") == 0,
	    .limits = *job->limits,
	    .extension = to->extension};
	bool alike = loads_alike(to, &next);
	int copied;

	*to = next;
	copied = app_copy_extension_settings(to, job->extension);
	*changed = !alike || copied > 0;
	return copied < 0 ? -1 : 0;
}
