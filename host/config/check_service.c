/*
 * A mistake that shows before the start is reported then, in one line. Otherwise the service would
 * be started again and again, and log the mistake each time in words of its own. What changes after
 * the start is left to the service.
 */
#include "config/check_service.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/language.h"
#include "binding.h"
#include "config/command_words.h"
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *service_command_line(const struct config_service *config)
{
	struct buffer line = {0};
	const char *text;
	char *copy;

	for (size_t i = 0; i < config->run.count; i++)
		buffer_printf(&line, "%s%s", i > 0 ? " " : "", config->run.items[i]);
	if (config->script != NULL)
		buffer_append_string(&line, config->script);
	text = buffer_string(&line);
	copy = text != NULL ? strdup(text) : NULL;
	buffer_release(&line);
	return copy;
}

/* A file, with this access for the host's user. */
static int check_file(const char *path, int mode, struct error *e)
{
	struct stat status;

	if (stat(path, &status) < 0 || faccessat(AT_FDCWD, path, mode, AT_EACCESS) < 0)
		return error_errno(e, "%s", path);
	return S_ISREG(status.st_mode) ? 0 : error_set(e, "%s: not a file", path);
}

static int check_command(
    char *const *words, bool script, const struct binding *const *bindings, struct error *e)
{
	if (words[0][0] != '/')
		return error_set(e, "'%s' is no absolute path", words[0]);
	if (script && language_by_suffix(bindings, words[0]) < 0)
		return error_set(e, "script %s: its name tells no language", words[0]);
	return check_file(words[0], script ? R_OK : X_OK, e);
}

/* A path that does not exist yet will be made: its directory must exist, unless it ends in '/'. */
static int check_writable(const char *path, struct error *e)
{
	const char *slash = strrchr(path, '/');
	char *directory;
	int result;

	if (path[0] != '/')
		return error_set(e, "'%s' is no absolute path", path);
	result = faccessat(AT_FDCWD, path, W_OK, AT_EACCESS);
	if (result < 0 && errno == ENOENT && slash[1] != '\0') {
		directory = strndup(path, (size_t)(slash - path) + 1);
		if (directory == NULL)
			return error_set(e, "out of memory");
		result = faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS);
		free(directory);
	}
	return result < 0 ? error_errno(e, "%s", path) : 0;
}

static int check_one(
    const struct config_service *config, const struct binding *const *bindings, struct error *e)
{
	char *line = service_command_line(config);
	char **words;
	int result;

	if ((config->run.count > 0) == (config->script != NULL)) {
		free(line);
		return error_set(e, "either run or script says what it is");
	}
	words = line != NULL ? command_words_split(line, e) : NULL;
	free(line);
	if (words == NULL)
		return error_prefix(e, "%s", config->script != NULL ? "script" : "run");
	result = check_command(words, config->script != NULL, bindings, e);
	command_words_release(words);
	for (size_t i = 0; result == 0 && i < config->writable.count; i++)
		if (check_writable(config->writable.items[i], e) < 0)
			result = error_prefix(e, "writable");
	return result;
}

int config_check_services(
    const struct config *config, const struct binding *const *bindings, struct error *e)
{
	if (config->service_count > SERVICES_MAX)
		return error_set(e, "there are more than %d services", SERVICES_MAX);
	for (size_t i = 0; i < config->service_count; i++)
		if (check_one(&config->services[i], bindings, e) < 0)
			return error_prefix(e, "service %s", config->services[i].name);
	return 0;
}
