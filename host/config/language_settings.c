/* Directories are checked here; what else a language wants of one, by its binding. */
#include "config/language_settings.h"

#include "base/error.h"
#include "binding.h"
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_directory(const struct binding_setting *s, const char *path, struct error *e)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return error_errno(e, "%s", path);
	if (!S_ISDIR(status.st_mode))
		return error_set(e, "%s: not a directory", path);
	if (access(path, R_OK | X_OK) < 0)
		return error_errno(e, "%s", path);
	return s->check != NULL ? s->check(path, e) : 0;
}

static int check(const struct binding_setting *s, const char *value, struct error *e)
{
	char *copy = strdup(value), *rest = copy, *path;
	int result = copy != NULL ? 0 : error_set(e, "out of memory");

	/* A single directory may have a ':' in its name. */
	while (result == 0 &&
	       (path = strsep(&rest, s->kind == BINDING_DIRECTORIES ? ":" : "")) != NULL)
		if (path[0] != '\0')
			result = check_directory(s, path, e);
	free(copy);
	return result;
}

int language_setting_check(
    const struct binding *const *bindings, const char *name, const char *value, struct error *e)
{
	for (; bindings != NULL && *bindings != NULL; bindings++)
		for (size_t i = 0; i < (*bindings)->setting_count; i++)
			if (strcmp((*bindings)->settings[i].name, name) == 0)
				return check(&(*bindings)->settings[i], value, e);
	return 0;
}

int language_settings_check(const struct extension_settings *extension, struct error *e)
{
	const struct binding *const *at = extension->bindings;

	for (size_t n = 0; at != NULL && *at != NULL; at++)
		for (size_t i = 0; i < (*at)->setting_count; i++, n++)
			if (extension->languages[n] != NULL &&
			    check(&(*at)->settings[i], extension->languages[n], e) < 0)
				return error_prefix(e, "option --%s", (*at)->settings[i].name);
	return 0;
}
