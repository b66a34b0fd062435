/* exthost serve: check the configuration, open the log and the sockets, and become the master. */
#include "command/command.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/tuning.h"
#include "command/command_fail.h"
#include "config/config_check.h"
#include "config/config_read.h"
#include "front/admission.h"
#include "master/master.h"
#include "net/listen.h"
#include "request/script.h"
#include "template/huge_pages.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* If the default control socket cannot be opened, log a warning and go on. */
static int open_control(struct listeners *listeners, const struct config *config,
    const struct log *log, struct error *e)
{
	if (strcmp(config->control, "none") == 0)
		return 0;
	if (listeners_add_control(listeners, config, e) == 0)
		return 0;
	if (config->control[0] != '\0')
		return -1;
	log_message(log, LEVEL_WARNING, "exthost status cannot ask: %s", e->message);
	return 0;
}

static void warn_of_trust(const struct listeners *listeners, const struct log *log)
{
	for (size_t i = 0; i < listeners->count; i++)
		if (listeners->items[i].trust_fossil && listeners->items[i].kind == LISTENER_TCP)
			log_message(log, LEVEL_WARNING,
			    "%s: trust=fossil: each client of --allow-from may be any Fossil user",
			    listeners->items[i].address);
}

static int serve_with_log(const struct config_source *source, const struct binding *const *bindings,
    struct config *config, struct log *log)
{
	struct listeners listeners;
	struct master_setup setup = {
	    .config = config, .log = log, .bindings = bindings, .source = source};
	struct error e;
	int result, languages = 0;

	while (bindings[languages] != NULL)
		languages++;
	if (admission_check_descriptors(config, languages, &e) < 0)
		return command_fail(2, "%s", e.message);
	result = listeners_open(&listeners, config, &e);
	if (result < 0)
		return command_fail(result == -2 ? 2 : 1, "%s", e.message);
	if (open_control(&listeners, config, log, &e) < 0) {
		listeners_release(&listeners, true);
		return command_fail(1, "%s", e.message);
	}
	warn_of_trust(&listeners, log);
	setup.listeners = listeners.items;
	setup.listener_count = listeners.count;
	if (tuning_has(TUNING_HUGE_TEXT))
		huge_pages_move_text();
	result = master_run(&setup);
	listeners_release(&listeners, true);
	return result;
}

/* The language of the script of --app; no other language is started. NULL with *e. */
static const struct binding *language_of_app(
    const struct config *config, const struct binding *const *bindings, struct error *e)
{
	FD_OWNED int file = open(config->only_app, O_RDONLY | O_CLOEXEC);
	struct scripts *scripts = scripts_create(bindings);
	struct script_found found = {.language = -1};
	struct stat status;

	if (file < 0 || scripts == NULL || fstat(file, &status) < 0)
		error_errno(e, "option --app: %s", config->only_app);
	else if (scripts_find(scripts, config->only_app, file, &status, &found, e) < 0)
		error_prefix(e, "option --app");
	scripts_destroy(scripts);
	return found.language >= 0 ? bindings[found.language] : NULL;
}

/* These languages run; the configuration may speak of others too. */
static int serve(const struct config_source *source, const struct binding *const *bindings,
    struct config *config)
{
	struct log log = {.json = strcmp(config->log_format, "json") == 0,
	    .least = config->debug ? LEVEL_DEBUG : LEVEL_INFO};
	struct error e;
	int result;

	if (log_open(&log, config->log, &e) < 0)
		return command_fail(1, "%s", e.message);
	result = serve_with_log(source, bindings, config, &log);
	log_release(&log);
	return result;
}

int command_serve(const struct binding *const *bindings, int argc, char **argv)
{
	const struct binding *only[2] = {NULL, NULL};
	const struct config_source source = {.argc = argc, .argv = argv, .bindings = bindings};
	struct config config;
	struct error e;
	int result;

	if (config_check_read(&source, -1, &config, &e) < 0 || tuning_read(&e) < 0)
		result = command_fail(2, "%s", e.message);
	else if (config.only_app != NULL &&
		 (only[0] = language_of_app(&config, bindings, &e)) == NULL)
		result = command_fail(2, "%s", e.message);
	else
		result = serve(&source, config.only_app != NULL ? only : bindings, &config);
	config_release(&config);
	return result;
}
