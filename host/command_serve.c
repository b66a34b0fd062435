/* exthost serve: check everything that was said, open the sockets, and be the master. */
#include "command.h"

#include "access.h"
#include "binding.h"
#include "config.h"
#include "error.h"
#include "language.h"
#include "listen.h"
#include "log.h"
#include "master.h"

#include <stdlib.h>
#include <string.h>

static int check_preload(
    const struct config *config, const struct binding *const *bindings, struct error *e)
{
	for (size_t i = 0; i < config->preload.count; i++) {
		const char *item = config->preload.items[i];
		size_t size = strcspn(item, ":");
		char *name = strndup(item, size);
		int language = name != NULL ? language_by_name(bindings, name) : -1;

		free(name);
		if (language < 0 || item[size] == '\0' || item[size + 1] == '\0')
			return error_set(e, "option --preload: '%s' is not LANGUAGE:MODULE", item);
	}
	return 0;
}

static int check_prefix(const struct config *config, struct error *e)
{
	if (config->prefix[0] != '\0' && config->prefix[0] != '/')
		return error_set(e, "option --prefix: '%s' does not begin with /", config->prefix);
	return 0;
}

static int serve(const struct binding *const *bindings, const struct config *config)
{
	struct log log = {.json = strcmp(config->log_format, "json") == 0,
	    .least = config->debug ? LEVEL_DEBUG : LEVEL_INFO};
	struct listeners listeners;
	struct master_setup setup = {.config = config, .log = &log, .bindings = bindings};
	struct error e;
	int result;

	if (log_open(&log, config->log, &e) < 0)
		return command_fail(1, "%s", e.message);
	result = listeners_open(&listeners, config, &e);
	if (result < 0)
		return command_fail(result == -2 ? 2 : 1, "%s", e.message);
	setup.listeners = listeners.items;
	setup.listener_count = listeners.count;
	result = master_run(&setup);
	listeners_release(&listeners, true);
	return result;
}

int command_serve(const struct binding *const *bindings, int argc, char **argv)
{
	struct config config;
	struct error e;
	int operands;
	int result;

	if (config_read(&config, CONFIG_SERVE, argc, argv, 0, &operands, &e) < 0 ||
	    access_check_options(&config, &e) < 0 || check_preload(&config, bindings, &e) < 0 ||
	    check_prefix(&config, &e) < 0)
		result = command_fail(2, "%s", e.message);
	else if (config.root == NULL)
		result = command_fail(2, "serve needs --root DIR, the folder whose files answer");
	else if (config.listen.count == 0 && config_list_append(&config.listen, "relay") < 0)
		result = command_fail(1, "out of memory");
	else
		result = serve(bindings, &config);
	config_release(&config);
	return result;
}
