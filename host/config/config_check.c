/* Every check that a start makes, a reload and `exthost check` make too: here. */
#include "config/config_check.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/language.h"
#include "base/log.h"
#include "binding.h"
#include "config/access_rules.h"
#include "config/check_service.h"
#include "config/config_read.h"
#include "config/environment.h"
#include "config/language_settings.h"
#include "config/listen_address.h"
#include "config/option.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
			return error_set(e, "'%s' is not LANGUAGE:MODULE", item);
	}
	return 0;
}

static int check_path(const char *path, struct error *e)
{
	return path[0] == '\0' || path[0] == '/' ? 0
						 : error_set(e, "'%s' does not begin with /", path);
}

static int check_control(const char *path, struct error *e)
{
	return path[0] == '\0' || path[0] == '/' || strcmp(path, "none") == 0
		   ? 0
		   : error_set(e, "'%s' is neither an absolute path nor none", path);
}

static int check_paths(const struct config *config, struct error *e)
{
	if (check_path(config->prefix, e) < 0)
		return error_prefix(e, "option --prefix");
	if (check_path(config->metrics, e) < 0)
		return error_prefix(e, "option --metrics");
	return check_control(config->control, e) < 0 ? error_prefix(e, "option --control") : 0;
}

static int check_directory(const char *path, struct error *e)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return error_errno(e, "'%s'", path);
	return S_ISDIR(status.st_mode) ? 0 : error_set(e, "'%s' is not a directory", path);
}

/* It need not be there, but its directory must be. */
static int check_log(const char *path, struct error *e)
{
	const char *slash = strrchr(path, '/');
	char *directory = strndup(path, slash != NULL ? (size_t)(slash - path) + 1 : 0);
	struct stat status;
	int result = 0;

	if (directory == NULL)
		return error_set(e, "out of memory");
	if (stat(directory, &status) < 0)
		result = error_errno(e, "'%s'", path);
	else if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		result = error_set(e, "'%s' is a directory", path);
	free(directory);
	return result;
}

static int check_preload_item(
    const char *item, const struct binding *const *bindings, struct error *e)
{
	const struct config preload = {.preload = {.items = (char *[]){(char *)item}, .count = 1}};

	return check_preload(&preload, bindings, e);
}

static int check_listen(const char *text, struct error *e)
{
	const struct config none = {.prefix = (char *)""};
	struct listen_address a;
	int result = listen_address_parse(&a, text, &none, e);

	free(a.text);
	return result;
}

static int check_environment(const char *name, const char *value, struct error *e)
{
	struct config_list variables = {0};
	int result;

	if (strcmp(name, "env") == 0)
		return environment_check_variable(value, e);
	if (strcmp(name, "env-pass") == 0)
		return environment_check_name(value, e);
	result = environment_read_file(&variables, value, e);
	config_list_release(&variables);
	return result;
}

/* Check a value in the file, so that the message of a mistake has its line. */
static int check_value(const void *bindings, const char *name, const char *value, struct error *e)
{
	unsigned char bytes[16];
	uid_t uid;
	int bits;

	if (strcmp(name, "allow-uid") == 0)
		return access_rules_parse_uid(value, &uid, e);
	if (strcmp(name, "allow-gid") == 0)
		return access_rules_parse_gid(value, &uid, e);
	if (strcmp(name, "allow-from") == 0)
		return access_rules_parse_cidr(value, bytes, &bits, e);
	if (strcmp(name, "listen") == 0)
		return check_listen(value, e);
	if (strcmp(name, "preload") == 0)
		return check_preload_item(value, bindings, e);
	if (strncmp(name, "env", 3) == 0)
		return check_environment(name, value, e);
	if (strcmp(name, "root") == 0 || strcmp(name, "tmpdir") == 0)
		return check_directory(value, e);
	if (strcmp(name, "log") == 0)
		return check_log(value, e);
	if (strcmp(name, "prefix") == 0 || strcmp(name, "metrics") == 0)
		return check_path(value, e);
	if (strcmp(name, "control") == 0)
		return check_control(value, e);
	return language_setting_check(bindings, name, value, e);
}

/* --app: an app section of the command line's, and there is nothing for the front to listen at. */
static int take_only_app(struct config *config, struct error *e)
{
	char *script;
	struct config_app *apps;

	if (config->listen.count == 0)
		return error_set(e, "option --app needs --listen ADDR too");
	script = realpath(config->only_app, NULL);
	if (script == NULL)
		return error_errno(e, "option --app: %s", config->only_app);
	apps = calloc(1, sizeof(*apps));
	if (apps != NULL && config->app_count == 0)
		*apps = (struct config_app){.name = strdup(strrchr(script, '/') + 1),
		    .script = strdup(script),
		    .listen = config->listen,
		    .prefix = strdup(config->prefix),
		    .workers = config->limits.workers};
	if (config->app_count > 0) {
		free(apps);
		free(script);
		return error_set(e, "option --app: there are sections [app] too");
	}
	config->listen = (struct config_list){0};
	config->apps = apps;
	config->app_count = 1;
	if (config->root == NULL) {
		*strrchr(script, '/') = '\0';
		config->root = strdup(script[0] != '\0' ? script : "/");
	}
	free(script);
	return config->root != NULL ? 0 : error_set(e, "out of memory");
}

/* What stands in the root is named by its path beneath that from here on. */
static int check_app(const struct config *config, struct config_app *app, struct error *e)
{
	size_t root = strcmp(config->root, "/") == 0 ? 0 : strlen(config->root);
	char *path;

	if (app->script == NULL || app->listen.count == 0)
		return error_set(e, "needs script and listen");
	if (app->listen.count > APP_LISTEN_MAX)
		return error_set(e, "has more than %d listen", APP_LISTEN_MAX);
	if (check_path(app->prefix, e) < 0)
		return error_prefix(e, "prefix");
	for (size_t i = 0; i < app->listen.count; i++)
		if (listen_address_check(app->listen.items[i], config, e) < 0)
			return -1;
	path = app->script[0] == '/' ? realpath(app->script, NULL) : NULL;
	if (app->script[0] == '/' && path == NULL)
		return error_errno(e, "script %s", app->script);
	if (path != NULL && (strncmp(path, config->root, root) != 0 || path[root] != '/')) {
		free(path);
		return error_set(
		    e, "script %s is not beneath the root %s", app->script, config->root);
	}
	if (path != NULL) {
		memmove(path, path + root + 1, strlen(path + root + 1) + 1);
		free(app->script);
		app->script = path;
	}
	return 0;
}

static int apps_check(struct config *config, struct error *e)
{
	for (size_t i = 0; i < config->app_count; i++)
		if (check_app(config, &config->apps[i], e) < 0)
			return error_prefix(e, "app %s", config->apps[i].name);
	return 0;
}

/* The listeners of the host, then those of its apps; NULL behind the last one. */
static const char *listen_item(const struct config *config, size_t i)
{
	if (i < config->listen.count)
		return config->listen.items[i];
	i -= config->listen.count;
	for (size_t app = 0; app < config->app_count; app++) {
		if (i < config->apps[app].listen.count)
			return config->apps[app].listen.items[i];
		i -= config->apps[app].listen.count;
	}
	return NULL;
}

/* fd may stand more than once, and a TCP port of 0 is another one each time. */
static int check_unix_once(const struct config *config, struct error *e)
{
	const char *one, *other;

	for (size_t i = 0; (one = listen_item(config, i)) != NULL; i++) {
		size_t size = strcspn(one, ",");

		if (strncmp(one, "unix:", 5) != 0 && strncmp(one, "relay", 5) != 0)
			continue;
		for (size_t j = 0; j < i; j++) {
			other = listen_item(config, j);
			if (strcspn(other, ",") == size && strncmp(one, other, size) == 0)
				return error_set(
				    e, "listen %.*s: it stands there twice", (int)size, one);
		}
	}
	return 0;
}

int config_check_read(
    const struct config_source *source, int file, struct config *config, struct error *e)
{
	const struct config_check check = {.check = check_value, .context = source->bindings};
	struct config_source checked = *source;

	checked.check = &check;
	if (config_read_again(config, CONFIG_SERVE, &checked, file, e) < 0 ||
	    access_rules_check(config, e) < 0 || check_paths(config, e) < 0 ||
	    listen_address_check_all(config, e) < 0)
		return -1;
	if (check_preload(config, source->bindings, e) < 0)
		return error_prefix(e, "option --preload");
	if (language_settings_check(&config->extension, e) < 0 ||
	    environment_read_all(config, e) < 0)
		return -1;
	if (config_check_services(config, source->bindings, e) < 0)
		return -1;
	if (config->only_app != NULL && take_only_app(config, e) < 0)
		return -1;
	if (config->root == NULL)
		return error_set(e, "serve needs --root DIR, the directory whose files answer");
	if (apps_check(config, e) < 0)
		return -1;
	if (config->listen.count == 0 && config->only_app == NULL &&
	    config_list_append(&config->listen, "relay") < 0)
		return error_set(e, "out of memory");
	return check_unix_once(config, e);
}

int config_check_request(
    const struct config_source *source, int *operands, struct config *config, struct error *e)
{
	const struct config_check check = {.check = check_value, .context = source->bindings};
	struct config_source checked = *source;

	checked.check = &check;
	return config_read(config, CONFIG_REQUEST, &checked, 2, operands, e) < 0 ||
		       language_settings_check(&config->extension, e) < 0 ||
		       environment_read_all(config, e) < 0
		   ? -1
		   : 0;
}

/* So that two processes read the same: a descriptor, or -1 with *e filled. */
static int copy_file(const char *name, struct error *e)
{
	FD_OWNED int from = open(name, O_RDONLY | O_CLOEXEC);
	int copy = fd_memory_file("exthost-configuration");
	char piece[16384];
	ssize_t n;

	if (from < 0 || copy < 0) {
		fd_close(&copy);
		return error_errno(e, "configuration file %s", name);
	}
	while ((n = read(from, piece, sizeof(piece))) > 0)
		if (fd_write_all(copy, piece, (size_t)n) < 0)
			break;
	if (n == 0)
		return copy;
	error_errno(e, "configuration file %s", name);
	fd_close(&copy);
	return -1;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* *to becomes *from. true: it was something else. */
static bool keep_text(char **to, const char *from)
{
	if (same_text(*to, from))
		return false;
	free(*to);
	*to = from != NULL ? strdup(from) : NULL;
	return true;
}

static bool keep_list(struct config_list *to, const struct config_list *from)
{
	if (config_list_same(to, from))
		return false;
	config_list_copy(to, from);
	return true;
}

static bool keep(const struct option *o, void *to, const void *from)
{
	switch (o->type) {
	case TYPE_STRING:
	case TYPE_PATH:
	case TYPE_PATHS:
	case TYPE_CHOICE: return keep_text(to, *(char *const *)from);
	case TYPE_LIST:
	case TYPE_FILES: return keep_list(to, from);
	case TYPE_NUMBER:
	case TYPE_SIZE:
		if (*(uint64_t *)to == *(const uint64_t *)from)
			return false;
		*(uint64_t *)to = *(const uint64_t *)from;
		return true;
	case TYPE_FLAG: break;
	}
	return false;
}

void config_check_keep(struct config *next, const struct config *present, const struct log *log)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &options[i];

		if ((o->commands & CONFIG_FIXED) != 0 &&
		    keep(o, (char *)next + o->offset, (const char *)present + o->offset) &&
		    log != NULL)
			log_message(log, LEVEL_WARNING,
			    "reload: %s stays as it was: it is changed by a restart only", o->name);
	}
}

int config_check_reload(
    const struct config_source *source, struct config *present, const struct log *log, int *file)
{
	struct config next = {0};
	struct error e;

	*file = -1;
	if (present->config_file != NULL)
		*file = copy_file(present->config_file, &e);
	if ((present->config_file != NULL && *file < 0) ||
	    config_check_read(source, *file, &next, &e) < 0) {
		log_message(log, LEVEL_ERROR, "reload refused, all stays as it was: %s", e.message);
		config_release(&next);
		fd_close(file);
		return -1;
	}
	config_check_keep(&next, present, log);
	config_release(present);
	*present = next;
	log_message(log, LEVEL_INFO, "reload");
	return 0;
}
