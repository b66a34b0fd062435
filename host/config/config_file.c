/*
 * Keys before any section are options of `exthost serve`; those in a section [extension PATTERN]
 * hold for the extensions whose path beneath the root the pattern matches (fnmatch(3)); a section
 * [service NAME] describes a program to keep running. A key whose option may be given more than
 * once may stand more than once, any other only once; '#' or ';' begins a comment.
 *
 * libinih takes lines through a function of ours, which knows the line's number, refuses what is
 * longer than libinih reads, and reads the section's name, of which libinih would keep 49 bytes.
 */
#include "config/config_file.h"

#include "base/error.h"
#include "config/config.h"
#include "config/option.h"

#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICE_OFFSET offsetof(struct config, service)
#define APP_OFFSET offsetof(struct config, app)
#define EXTENSION_OFFSET offsetof(struct config, extension)
#define ENVIRONMENT_OFFSET offsetof(struct config, environment)

struct reading {
	struct config *config;
	const struct option_table *table;
	const struct config_check *check; /* NULL: none */
	char *directory;                  /* of the file, where relative paths begin */
	FILE *stream;
	int line;
	bool indented; /* that line */
	/* The present section: one of an extension, a service or an app, or NULL all before any. */
	struct config_section *section;
	struct config_service *service;
	struct config_app *app;
	bool seen[OPTIONS_MAX]; /* in this section */
	struct error *e;
	bool failed; /* the first mistake is the one told */
};

static int refuse(struct reading *r, const char *why)
{
	if (!r->failed)
		error_set(r->e, "%s:%d: %.400s", r->config->config_file, r->line, why);
	r->failed = true;
	return 0;
}

static struct config_section *add_section(struct config *config, const char *pattern)
{
	struct config_section *sections =
	    realloc(config->sections, (config->section_count + 1) * sizeof(*sections));
	struct config_section *section;

	if (sections == NULL)
		return NULL;
	config->sections = sections;
	section = &sections[config->section_count];
	*section = (struct config_section){.pattern = strdup(pattern)};
	if (section->pattern == NULL)
		return NULL;
	config->section_count++;
	return section;
}

/*
 * Into a struct that stands at `within` in struct config: the defaults of its options, which are
 * all the host's own.
 */
static int set_defaults(void *values, size_t within, int commands, struct error *e)
{
	for (size_t i = 0; i < option_count; i++)
		if ((options[i].commands & commands) != 0 && options[i].fallback != NULL &&
		    option_set((char *)values + options[i].offset - within, &options[i],
			options[i].fallback, e) < 0)
			return -1;
	return 0;
}

static struct config_service *add_service(struct config *config, const char *name, struct error *e)
{
	struct config_service *services =
	    realloc(config->services, (config->service_count + 1) * sizeof(*services));
	struct config_service *service;

	if (services == NULL)
		return NULL;
	config->services = services;
	service = &services[config->service_count];
	*service = (struct config_service){.name = strdup(name)};
	if (service->name == NULL)
		return NULL;
	config->service_count++;
	return set_defaults(service, SERVICE_OFFSET, CONFIG_SERVICE, e) == 0 ? service : NULL;
}

static struct config_app *add_app(struct config *config, const char *name, struct error *e)
{
	struct config_app *apps = realloc(config->apps, (config->app_count + 1) * sizeof(*apps));
	struct config_app *app;

	if (apps == NULL)
		return NULL;
	config->apps = apps;
	app = &apps[config->app_count];
	*app = (struct config_app){.name = strdup(name)};
	if (app->name == NULL)
		return NULL;
	config->app_count++;
	return set_defaults(app, APP_OFFSET, CONFIG_APP, e) == 0 ? app : NULL;
}

static bool has_service(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++)
		if (strcmp(config->services[i].name, name) == 0)
			return true;
	return false;
}

/*
 * The name behind "[word " and before "]", with no blanks around it. false: it is another section.
 */
static bool section_name(const char *line, const char *word, char *name, size_t size)
{
	const char *text = line + 1 + strspn(line + 1, " \t");
	size_t length;

	if (strncmp(text, word, strlen(word)) != 0 || strchr(" \t", text[strlen(word)]) == NULL)
		return false;
	text += strlen(word);
	text += strspn(text, " \t/");
	length = strcspn(text, "]\r\n");
	while (length > 0 && strchr(" \t", text[length - 1]) != NULL)
		length--;
	if (length == 0 || length >= size || strchr(text, ']') == NULL)
		return false;
	snprintf(name, size, "%.*s", (int)length, text);
	return true;
}

static void begin_section(struct reading *r, const char *line)
{
	char name[256];
	struct error e;

	r->section = NULL;
	r->service = NULL;
	r->app = NULL;
	memset(r->seen, 0, sizeof(r->seen));
	if (section_name(line, "extension", name, sizeof(name))) {
		r->section = add_section(r->config, name);
		if (r->section == NULL)
			refuse(r, "out of memory");
	} else if (section_name(line, "service", name, sizeof(name))) {
		if (has_service(r->config, name))
			refuse(r, "there are two services of this name");
		else
			r->service = add_service(r->config, name, &e);
		if (r->service == NULL)
			refuse(r, "out of memory");
	} else if (section_name(line, "app", name, sizeof(name))) {
		if (config_find_app(r->config, name) != NULL)
			refuse(r, "there are two apps of this name");
		else
			r->app = add_app(r->config, name, &e);
		if (r->app == NULL)
			refuse(r, "out of memory");
	} else {
		snprintf(name, sizeof(name),
		    "unknown section %.*s, allowed are [extension PATTERN], [app NAME] and "
		    "[service NAME]",
		    (int)strcspn(line, "\r\n"), line);
		refuse(r, name);
	}
}

/* As fgets(3), but the bytes are counted: a NUL would hide all behind it. 0: end or error. */
static size_t get_line(char *line, size_t size, FILE *stream)
{
	size_t n = 0;
	int c = 0;

	while (n + 1 < size && c != '\n' && (c = getc(stream)) != EOF)
		line[n++] = (char)c;
	line[n] = '\0';
	return ferror(stream) ? 0 : n;
}

static char *read_line(char *line, int size, void *stream)
{
	struct reading *r = stream;
	size_t got = get_line(line, (size_t)size, r->stream);
	const char *text = line;

	if (got == 0 && ferror(r->stream) && !r->failed) {
		error_errno(r->e, "configuration file %s", r->config->config_file);
		r->failed = true;
	}
	if (got == 0)
		return NULL;
	/*
	 * libinih steps over a byte order mark, and then sees a section where none was seen here.
	 */
	if (r->line++ == 0 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	r->indented = strchr(" \t\v\f\r", text[0]) != NULL;
	if (strlen(line) < got)
		refuse(r, "there is a NUL in the line");
	else if (line[got - 1] != '\n' && !feof(r->stream))
		refuse(r, "the line is too long, allowed are 197 bytes");
	else if (text[0] == '[')
		begin_section(r, text);
	else if (text[strspn(text, " \t\v\f\r")] == '[')
		refuse(r, "a section begins at the beginning of its line");
	return line;
}

static int set_in_section(
    struct config_section *section, const struct option *o, const char *value, struct error *e)
{
	const size_t number = (o->offset - offsetof(struct config, limits)) / sizeof(uint64_t);

	if (option_is_text(o))
		return option_set(
		    (char *)&section->extension + o->offset - EXTENSION_OFFSET, o, value, e);
	if (option_is_list(o))
		return option_set(
		    (char *)&section->environment + o->offset - ENVIRONMENT_OFFSET, o, value, e);
	if (number >= sizeof(struct limits) / sizeof(uint64_t))
		return error_set(e, "it cannot stand in a section");
	section->given |= 1U << number;
	return option_set((uint64_t *)&section->limits + number, o, value, e);
}

/* What an app's section has of its own, or else as a section of extensions. */
static int set_in_app(
    struct config_app *app, const struct option *o, const char *value, struct error *e)
{
	return (o->commands & CONFIG_APP) != 0
		   ? option_set((char *)app + o->offset - APP_OFFSET, o, value, e)
		   : set_in_section(&app->own, o, value, e);
}

/* The option that the key means in the present section; an app's own goes before all others. */
static const struct option *find_key(const struct reading *r, const char *name)
{
	int commands = r->service != NULL ? CONFIG_SERVICE
		       : r->app != NULL   ? CONFIG_APP
					  : CONFIG_SERVE;
	const struct option *o = option_find(r->table, name, strlen(name), commands);

	return o == NULL && r->app != NULL ? option_find(r->table, name, strlen(name), CONFIG_SERVE)
					   : o;
}

/* A service's command line: each further line is another piece of the same one. */
static bool is_in_pieces(const struct option *o)
{
	return o->offset == offsetof(struct config, service.run) ||
	       o->offset == offsetof(struct config, service.writable);
}

/* Set a value in the present section. 0, or -1 with *why. */
static int set_value(
    struct reading *r, const struct option *o, const char *value, struct error *why)
{
	int result;

	if (r->service != NULL)
		result = option_set((char *)r->service + o->offset - SERVICE_OFFSET, o, value, why);
	else if (r->app != NULL)
		result = set_in_app(r->app, o, value, why);
	else if (r->section != NULL)
		result = set_in_section(r->section, o, value, why);
	else
		result = option_set((char *)r->config + o->offset, o, value, why);
	if (result == 0 && r->check != NULL)
		result = r->check->check(r->check->context, o->name, value, why);
	return result;
}

/* 0, or -1 with *why. */
static int set_key(struct reading *r, const char *name, const char *value, struct error *why)
{
	const struct option *o = find_key(r, name);
	size_t row = o != NULL ? (size_t)(o - r->table->rows) : 0;
	char *resolved;
	int result;

	if (o == NULL || o->offset == offsetof(struct config, config_file) ||
	    o->offset == offsetof(struct config, only_app))
		return error_set(why, "unknown key '%s'", name);
	if (r->section != NULL && (o->commands & CONFIG_EXTENSION) == 0)
		return error_set(why, "%s cannot be set for some extensions only", name);
	if (r->app != NULL && (o->commands & (CONFIG_APP | CONFIG_EXTENSION)) == 0)
		return error_set(why, "%s cannot be set for one app only", name);
	/* It would take the keys below it, if they are indented too, for its own values. */
	if (r->service != NULL && r->indented && !r->seen[row])
		return error_set(why, "a key begins at the beginning of its line");
	/*
	 * An indented line is another value of the key above it; of a service it is the same one.
	 */
	if (r->seen[row] && (!option_is_list(o) || (is_in_pieces(o) && !r->indented)))
		return error_set(
		    why, "%s has a value already, and cannot have '%s' too", name, value);
	r->seen[row] = true;
	if (r->service == NULL && r->app == NULL && r->section == NULL && r->table->given[row])
		return 0;
	resolved = option_resolve(o, value, r->directory[0] != '\0' ? r->directory : "/");
	result = resolved != NULL ? set_value(r, o, resolved, why) : error_errno(why, "%s", value);
	free(resolved);
	return result < 0 ? error_prefix(why, "%s", name) : 0;
}

/* libinih calls this for each key; 0 means an error. */
static int read_key(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	struct error why;

	(void)section; /* told by read_line */
	if (r->failed)
		return 0;
	if (set_key(r, name, value != NULL ? value : "", &why) == 0)
		return 1;
	return refuse(r, why.message);
}

/* Absolute, as far as the working directory is. 0, or -1 with errno. */
static int find_directory(struct reading *r)
{
	const struct option path = {.type = TYPE_PATH};

	r->directory = option_resolve(&path, r->config->config_file, NULL);
	if (r->directory == NULL)
		return -1;
	*strrchr(r->directory, '/') = '\0';
	return 0;
}

int config_file_read(struct config *config, const struct option_table *table, int file,
    const struct config_check *check, struct error *e)
{
	struct reading r = {.config = config, .table = table, .check = check, .e = e};
	int line;

	if (find_directory(&r) < 0)
		return error_errno(e, "configuration file %s", config->config_file);

	if (file < 0)
		file = open(config->config_file, O_RDONLY | O_CLOEXEC);
	else if (lseek(file, 0, SEEK_SET) == 0)
		file = fcntl(file, F_DUPFD_CLOEXEC, 3);
	r.stream = file >= 0 ? fdopen(file, "r") : NULL;
	if (r.stream == NULL) {
		free(r.directory);
		return error_errno(e, "configuration file %s", config->config_file);
	}
	line = ini_parse_stream(read_line, &r, read_key, &r);
	fclose(r.stream);
	free(r.directory);
	if (r.failed)
		return -1;
	if (line > 0)
		return error_set(
		    e, "%s:%d: neither 'name = value' nor a comment", config->config_file, line);
	return line != 0 ? error_set(e, "configuration file %s: out of memory", config->config_file)
			 : 0;
}
