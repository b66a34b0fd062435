/* What a pool of app workers is given by the front, or by `exthost request`. */
#ifndef EXTHOST_POOL_SETUP_H
#define EXTHOST_POOL_SETUP_H

#include <stdbool.h>

struct binding;
struct config_share;
struct log;
struct scripts;
struct spares;

struct app_pool_setup {
	const struct log *log;
	struct spares *spares;
	struct scripts *scripts;
	struct config_share *configs;
	const struct binding *const *bindings;
	const char *root_path;
	int root; /* descriptor of the extension root */
	/*
	 * on: no worker of the app with this number can accept, so the front accepts for it, to
	 * answer 500. off: leave its sockets to the workers. Called with the pool's lock held.
	 */
	void (*stand_in)(void *context, int app, bool on);
	void *context;
};

#endif
