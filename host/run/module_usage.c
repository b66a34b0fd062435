/* The table is fixed: when it is full, further modules are not counted, which only costs speed. */
#include "run/module_usage.h"

#include "base/fd.h"
#include "binding.h"
#include "ipc/run_channel.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 512
#define RUNS_TO_PRELOAD 2 /* a single run may be chance */

struct name {
	int language;
	int runs;
	char text[RUN_TEXT_MAX];
};

struct module_usage {
	pthread_mutex_t lock;
	const struct binding *const *bindings;
	int master;
	size_t count;
	struct name names[NAMES_MAX];
};

struct module_usage *module_usage_create(const struct binding *const *bindings, int master)
{
	struct module_usage *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	pthread_mutex_init(&n->lock, NULL);
	n->bindings = bindings;
	n->master = master;
	return n;
}

static struct name *find(struct module_usage *n, int language, const char *module)
{
	struct name *name;

	for (size_t i = 0; i < n->count; i++)
		if (n->names[i].language == language && strcmp(n->names[i].text, module) == 0)
			return &n->names[i];
	if (n->count == NAMES_MAX)
		return NULL;
	name = &n->names[n->count++];
	name->language = language;
	snprintf(name->text, sizeof(name->text), "%s", module);
	return name;
}

void module_usage_add(struct module_usage *n, int language, const char *module)
{
	struct name *name;
	char message[RUN_TEXT_MAX + 64];
	int size;

	if (n == NULL)
		return;
	pthread_mutex_lock(&n->lock);
	name = find(n, language, module);
	if (name != NULL && ++name->runs == RUNS_TO_PRELOAD) {
		size = snprintf(
		    message, sizeof(message), "%s:%s", n->bindings[language]->name, module);
		fd_send(n->master, message, (size_t)size + 1, NULL, 0);
	}
	pthread_mutex_unlock(&n->lock);
}
