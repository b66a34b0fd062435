/*
 * The command line, the file and the defaults become one struct config: a value given on the
 * command line wins over the configuration file, which wins over the default.
 */
#include "config/config_read.h"

#include "base/error.h"
#include "config/config_file.h"
#include "config/environment.h"
#include "config/option.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reading {
	struct config *config;
	enum config_command command;
	struct option_table table;
	int file; /* the configuration file, or -1: open it by its name */
	struct error *e;
};

/* One "--name[=value]" at argv[*at]. */
static int read_option(struct reading *r, int argc, char **argv, int *at)
{
	const char *name = argv[*at] + 2;
	const char *value = strchr(name, '=');
	size_t size = value != NULL ? (size_t)(value - name) : strlen(name);
	const struct option *o = option_find(&r->table, name, size, r->command);
	char *resolved;
	int result;

	if (o == NULL)
		return error_set(r->e, "unknown option --%.*s", (int)size, name);
	if (value != NULL)
		value++;
	else if (o->type == TYPE_FLAG)
		value = "yes";
	else if (*at + 1 < argc)
		value = argv[++*at];
	else
		return error_set(r->e, "option --%s needs a value: %s", o->name, o->argument);
	r->table.given[o - r->table.rows] = true;
	resolved = option_resolve(o, value, NULL);
	result = resolved != NULL ? option_set((char *)r->config + o->offset, o, resolved, r->e)
				  : error_errno(r->e, "%s", value);
	free(resolved);
	return result < 0 ? error_prefix(r->e, "option --%s", o->name) : 0;
}

static int read_command_line(
    struct reading *r, int argc, char **argv, int max_operands, int *operands)
{
	*operands = 0;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0 && argv[i][2] != '\0') {
			if (read_option(r, argc, argv, &i) < 0)
				return -1;
		} else if (argv[i][0] == '-' && argv[i][1] != '\0') {
			return error_set(r->e, "unknown option %s", argv[i]);
		} else if (*operands == max_operands) {
			return error_set(r->e, "unexpected argument '%s'", argv[i]);
		} else {
			argv[(*operands)++] = argv[i];
		}
	}
	return 0;
}

static int set_defaults(struct reading *r)
{
	for (size_t i = 0; i < r->table.count; i++) {
		const struct option *o = &r->table.rows[i];

		if (o->fallback != NULL &&
		    option_set((char *)r->config + o->offset, o, o->fallback, r->e) < 0)
			return -1;
	}
	return 0;
}

static int directory_check(char **path, const char *what, struct error *e)
{
	struct stat status;
	char *real = realpath(*path, NULL);

	if (real == NULL)
		return error_errno(e, "%s %s", what, *path);
	free(*path);
	*path = real;
	if (stat(real, &status) < 0)
		return error_errno(e, "%s %s", what, real);
	if (!S_ISDIR(status.st_mode))
		return error_set(e, "%s %s: not a directory", what, real);
	if (access(real, R_OK | X_OK) < 0)
		return error_errno(e, "%s %s", what, real);
	return 0;
}

static int read_all(
    struct reading *r, const struct config_source *source, int max_operands, int *operands)
{
	struct config *config = r->config;

	*config = (struct config){.extension = {.bindings = source->bindings}};
	if (option_table_build(&r->table, source->bindings, r->e) < 0 || set_defaults(r) < 0)
		return -1;
	if (read_command_line(r, source->argc, source->argv, max_operands, operands) < 0)
		return -1;
	if (config->config_file != NULL &&
	    config_file_read(config, &r->table, r->file, source->check, r->e) < 0)
		return -1;
	if (config->root != NULL && directory_check(&config->root, "extension root", r->e) < 0)
		return -1;
	return directory_check(&config->tmpdir, "directory for temporary files", r->e);
}

int config_read(struct config *config, enum config_command command,
    const struct config_source *source, int max_operands, int *operands, struct error *e)
{
	struct reading r = {.config = config, .command = command, .file = -1, .e = e};

	return read_all(&r, source, max_operands, operands);
}

int config_read_again(struct config *config, enum config_command command,
    const struct config_source *source, int file, struct error *e)
{
	struct reading r = {.config = config, .command = command, .file = file, .e = e};
	int operands;

	return read_all(&r, source, 0, &operands);
}

/* The help text, broken at blanks to fit beside the names. */
static void print_wrapped(FILE *out, const char *text, size_t indent, size_t width)
{
	while (*text != '\0') {
		size_t n = strlen(text);

		if (n > width) {
			n = width;
			while (n > 0 && text[n] != ' ')
				n--;
		}
		fprintf(out, "%.*s\n", (int)n, text);
		text += n;
		text += strspn(text, " ");
		if (*text != '\0')
			fprintf(out, "%*s", (int)indent, "");
	}
}

void config_print_options(
    FILE *out, enum config_command command, const struct binding *const *bindings)
{
	struct option_table table;
	struct error e;

	if (option_table_build(&table, bindings, &e) < 0)
		fprintf(out, "  %s\n", e.message);
	for (size_t i = 0; i < table.count; i++) {
		const struct option *o = &table.rows[i];
		char name[64];
		char help[512];

		if ((o->commands & command) == 0)
			continue;
		snprintf(name, sizeof(name), "--%s%s%s", o->name, o->argument ? " " : "",
		    o->argument ? o->argument : "");
		snprintf(help, sizeof(help), "%s%s%s%s", o->help,
		    o->fallback && o->fallback[0] ? " (" : "", o->fallback ? o->fallback : "",
		    o->fallback && o->fallback[0] ? ")" : "");
		fprintf(out, "  %-26s ", name);
		if (strlen(name) > 26)
			fprintf(out, "\n%29s", "");
		print_wrapped(out, help, 29, 70);
	}
}

/* The strings and lists of those options that these commands have, of a struct `within` config. */
static void release_values(void *values, size_t within, int commands)
{
	for (size_t i = 0; i < option_count; i++) {
		void *place = (char *)values + options[i].offset - within;
		char **text = place;

		if ((options[i].commands & commands) == 0)
			continue;
		if (option_is_text(&options[i])) {
			free(*text);
			*text = NULL;
		} else if (option_is_list(&options[i])) {
			config_list_release(place);
		}
	}
}

static void release_extension_settings(struct extension_settings *extension)
{
	free(extension->mode);
	free(extension->reload);
	free(extension->static_content);
	config_release_language_values(extension);
}

void config_release(struct config *config)
{
	release_values(config, 0, ~0);
	config_release_language_values(&config->extension);
	environment_release(&config->environment);
	for (size_t i = 0; i < config->section_count; i++) {
		free(config->sections[i].pattern);
		release_extension_settings(&config->sections[i].extension);
		environment_release(&config->sections[i].environment);
	}
	free(config->sections);
	config->sections = NULL;
	config->section_count = 0;
	for (size_t i = 0; i < config->service_count; i++) {
		free(config->services[i].name);
		release_values(
		    &config->services[i], offsetof(struct config, service), CONFIG_SERVICE);
		environment_release(&config->services[i].environment);
	}
	free(config->services);
	config->services = NULL;
	config->service_count = 0;
	for (size_t i = 0; i < config->app_count; i++) {
		free(config->apps[i].name);
		release_values(&config->apps[i], offsetof(struct config, app), CONFIG_APP);
		release_extension_settings(&config->apps[i].own.extension);
		environment_release(&config->apps[i].own.environment);
	}
	free(config->apps);
	config->apps = NULL;
	config->app_count = 0;
}
