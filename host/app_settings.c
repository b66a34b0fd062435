/*
 * What a worker is told when it loads holds for its life; when that changes, so must the worker. All
 * else is looked up at each request.
 */
#include "app.h"

#include "binding.h"
#include "guarded.h"
#include "option.h"

#include <stdlib.h>
#include <string.h>

/* true: another text than before. *bad if there is no memory for it. */
static bool set_text(char **place, const char *text, bool *bad)
{
	char *copy;

	if (*place != NULL && strcmp(*place, text) == 0)
		return false;
	copy = strdup(text);
	if (copy == NULL) {
		*bad = true;
		return false;
	}
	free(*place);
	*place = copy;
	return true;
}

static bool loads_alike(const struct app_settings *a, const struct app_settings *b)
{
	return a->language == b->language && a->rerun == b->rerun && a->debug == b->debug &&
	       a->limits.memory == b->limits.memory && a->limits.cpu == b->limits.cpu &&
	       a->limits.processes == b->limits.processes &&
	       a->limits.max_requests == b->limits.max_requests &&
	       a->limits.max_rss == b->limits.max_rss;
}

int app_settings_take(struct app_settings *to, const struct run_job *job,
    const struct binding *const *bindings, bool *changed)
{
	const char *language = bindings[job->found->language]->name;
	const struct app_settings next = {.language = job->found->language,
	    .rerun = job->found->kind == SCRIPT_RERUN,
	    .debug = job->debug,
	    .strict = strcmp(job->manners->reload, "strict") == 0,
	    .limits = *job->limits,
	    .path = to->path,
	    .venv = to->venv};
	bool bad = false;

	*changed = !loads_alike(to, &next);
	*to = next;
	*changed |= set_text(&to->path, option_manner(job->manners, language, "path"), &bad);
	*changed |= set_text(&to->venv, option_manner(job->manners, language, "venv"), &bad);
	return bad ? -1 : 0;
}
