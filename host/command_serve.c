/* exthost serve: check everything that was said, open the sockets, and be the master. */
#include "command.h"

#include "config_read.h"
#include "error.h"
#include "listen.h"
#include "log.h"
#include "master.h"
#include "serve_config.h"

#include <stdlib.h>
#include <string.h>

static int open_listeners(const struct config *config, struct listener *listeners, struct error *e)
{
	for (size_t i = 0; i < config->listen.count; i++) {
		int result = listener_open(&listeners[i], config->listen.items[i], config, e);

		if (result == 0)
			continue;
		while (i-- > 0)
			listener_release(&listeners[i], true);
		return result;
	}
	return 0;
}

/* That it cannot be opened where nobody asked for it is told, and no reason to end. */
static int open_control(const struct config *config, struct listener *l, const struct log *log,
    size_t *count, struct error *e)
{
	if (strcmp(config->control, "none") == 0)
		return 0;
	if (listener_open_control(l, config, e) == 0) {
		++*count;
		return 0;
	}
	if (config->control[0] != '\0')
		return -1;
	log_message(log, LEVEL_WARNING, "exthost status cannot ask: %s", e->message);
	return 0;
}

static void release_listeners(struct listener *listeners, size_t count)
{
	for (size_t i = 0; i < count; i++)
		listener_release(&listeners[i], true);
	free(listeners);
}

static int serve(const struct serve_config_source *source, struct config *config)
{
	struct log log = {.json = strcmp(config->log_format, "json") == 0,
	    .least = config->debug ? LEVEL_DEBUG : LEVEL_INFO};
	size_t count = config->listen.count;
	struct listener *listeners = calloc(count + 1, sizeof(*listeners));
	struct master_setup setup = {.config = config,
	    .log = &log,
	    .bindings = source->bindings,
	    .source = source,
	    .listeners = listeners};
	struct error e;
	int result;

	if (listeners == NULL)
		return command_fail(1, "out of memory");
	if (log_open(&log, config->log, &e) < 0) {
		free(listeners);
		return command_fail(1, "%s", e.message);
	}
	result = open_listeners(config, listeners, &e);
	if (result < 0) {
		free(listeners);
		return command_fail(result == -2 ? 2 : 1, "%s", e.message);
	}
	if (open_control(config, &listeners[count], &log, &count, &e) < 0) {
		release_listeners(listeners, count);
		return command_fail(1, "%s", e.message);
	}
	setup.listener_count = count;
	result = master_run(&setup);
	release_listeners(listeners, count);
	return result;
}

int command_serve(const struct binding *const *bindings, int argc, char **argv)
{
	const struct serve_config_source source = {
	    .argc = argc, .argv = argv, .bindings = bindings};
	struct config config;
	struct error e;
	int result;

	if (serve_config_read(&source, -1, &config, &e) < 0)
		result = command_fail(2, "%s", e.message);
	else
		result = serve(&source, &config);
	config_release(&config);
	return result;
}
