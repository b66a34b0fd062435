/*
 * The option table, and what is made from it. Nothing else in the program knows an option's name,
 * its default or its range.
 *
 * A value given on the command line wins over the configuration file, which wins over the default.
 * The file is INI, read by libinih: the keys stand before any section, with '#' or ';' before a
 * comment; a key whose option may be given more than once may stand more than once.
 */
#include "config.h"

#include "error.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum option_type { TYPE_STRING, TYPE_LIST, TYPE_FLAG, TYPE_NUMBER, TYPE_SIZE, TYPE_CHOICE };

struct option {
	const char *name;
	enum option_type type;
	size_t offset;        /* of its value in struct config */
	int commands;         /* enum config_command, or-ed */
	const char *fallback; /* the default; NULL: none */
	uint64_t least, most; /* TYPE_NUMBER and TYPE_SIZE */
	const char *argument; /* its name in --help; for TYPE_CHOICE the choices, "a|b" */
	const char *help;
};

#define VALUE(member) offsetof(struct config, member)
#define BOTH (CONFIG_SERVE | CONFIG_REQUEST)
#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const struct option options[] = {
    {"root", TYPE_STRING, VALUE(root), BOTH, NULL, 0, 0, "DIR",
	"the extension root, the folder whose files answer"},
    {"config", TYPE_STRING, VALUE(config_file), CONFIG_SERVE, NULL, 0, 0, "FILE",
	"read more options from this INI file (exthost.conf(5))"},
    {"listen", TYPE_LIST, VALUE(listen), CONFIG_SERVE, NULL, 0, 0, "ADDR",
	"where to listen: relay, unix:/path, tcp:HOST:PORT or fd, each with ,trust=fossil "
	",mode=0660 ,prefix=/ext behind it; may be given more than once. Without it: relay, which "
	"is "
	"the socket .exthost.sock in the extension root with trust=fossil"},
    {"prefix", TYPE_STRING, VALUE(prefix), CONFIG_SERVE, "", 0, 0, "PATH",
	"what to take off the front of every URL path, /ext for example"},
    {"allow-uid", TYPE_LIST, VALUE(allow_uid), CONFIG_SERVE, NULL, 0, 0, "UID",
	"a user who may connect to unix sockets, besides the host's own and root"},
    {"allow-from", TYPE_LIST, VALUE(allow_from), CONFIG_SERVE, NULL, 0, 0, "CIDR",
	"addresses that may connect to TCP sockets, besides loopback: 10.1.0.0/16"},
    {"spares", TYPE_NUMBER, VALUE(spares), CONFIG_SERVE, "2", 1, 256, "N",
	"how many request processes to keep forked ahead for each language in use"},
    {"max-connections", TYPE_NUMBER, VALUE(max_connections), CONFIG_SERVE, "256", 1, 16384, "N",
	"how many connections may be open at once"},
    {"max-header", TYPE_SIZE, VALUE(max_header), BOTH, "128k", 4 * KIB, 1 * MIB, "BYTES",
	"the most that the variables of one request may hold; more is answered 431"},
    {"max-body", TYPE_SIZE, VALUE(max_body), BOTH, "64m", 0, 1024 * GIB, "BYTES",
	"the largest request body; more is answered 413"},
    {"reply-buffer", TYPE_SIZE, VALUE(reply_buffer), BOTH, "256k", 4 * KIB, 1 * GIB, "BYTES",
	"how much of a reply is held back, so that a failure until then is a clean error page"},
    {"tmpdir", TYPE_STRING, VALUE(tmpdir), BOTH, "/tmp", 0, 0, "DIR",
	"where large bodies and replies are kept, as unlinked files"},
    {"preload", TYPE_LIST, VALUE(preload), BOTH, NULL, 0, 0, "LANGUAGE:MODULE",
	"load this module or package before the first request: python:json, tcl:json::write"},
    {"grace", TYPE_NUMBER, VALUE(grace), CONFIG_SERVE, "10", 0, 86400, "SECONDS",
	"how long requests may take to finish after SIGTERM"},
    {"log", TYPE_STRING, VALUE(log), CONFIG_SERVE, NULL, 0, 0, "FILE",
	"append the log to this file, not to standard error; SIGUSR1 opens it again"},
    {"log-format", TYPE_CHOICE, VALUE(log_format), CONFIG_SERVE, "text", 0, 0, "text|json",
	"how a log line is written"},
    {"debug", TYPE_FLAG, VALUE(debug), BOTH, NULL, 0, 0, NULL,
	"show tracebacks on error pages to everybody"},
    {"body", TYPE_STRING, VALUE(body), CONFIG_REQUEST, NULL, 0, 0, "FILE",
	"the request body; - is standard input"},
    {"header", TYPE_LIST, VALUE(header), CONFIG_REQUEST, NULL, 0, 0, "'NAME: VALUE'",
	"a header of the request; may be given more than once"},
    {"env", TYPE_LIST, VALUE(env), CONFIG_REQUEST, NULL, 0, 0, "NAME=VALUE",
	"a variable of the request, FOSSIL_USER=ada for example; may be given more than once"},
    {"cgi", TYPE_FLAG, VALUE(cgi), CONFIG_REQUEST, NULL, 0, 0, NULL,
	"take the request from the environment and standard input, as a CGI program does; PATH is "
	"then the file of the script"},
};

#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

struct reading {
	struct config *config;
	enum config_command command;
	bool given[OPTION_COUNT]; /* set on the command line */
	struct error *e;
	FILE *stream; /* the configuration file, and the line of it that is being read */
	int line;
	bool failed;
};

static const struct option *option_find(const char *name, size_t size, int command)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0 &&
		    (options[i].commands & command) != 0)
			return &options[i];
	return NULL;
}

int config_list_append(struct config_list *list, const char *value)
{
	char **items = realloc(list->items, (list->count + 1) * sizeof(*items));

	if (items == NULL)
		return -1;
	list->items = items;
	items[list->count] = strdup(value);
	return items[list->count++] == NULL ? -1 : 0;
}

static int string_set(char **place, const char *value)
{
	free(*place);
	*place = strdup(value);
	return *place == NULL ? -1 : 0;
}

static int number_parse(const struct option *o, const char *text, uint64_t *value, struct error *e)
{
	char *end;
	unsigned long long n;
	uint64_t unit = 1;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (o->type == TYPE_SIZE && end[0] != '\0' && end[1] == '\0') {
		switch (end[0] | 0x20) {
		case 'k':
			unit = KIB;
			end++;
			break;
		case 'm':
			unit = MIB;
			end++;
			break;
		case 'g':
			unit = GIB;
			end++;
			break;
		default: break;
		}
	}
	if (text[0] < '0' || text[0] > '9' || *end != '\0')
		return error_set(e, "'%s' is not a number%s", text,
		    o->type == TYPE_SIZE ? " of bytes (k, m and g may follow)" : "");
	if (errno == ERANGE || n > UINT64_MAX / unit || n * unit < o->least || n * unit > o->most)
		return error_set(e, "'%s' is out of range, allowed is %llu to %llu", text,
		    (unsigned long long)o->least, (unsigned long long)o->most);
	*value = n * unit;
	return 0;
}

static int flag_parse(const char *text, bool *value, struct error *e)
{
	static const char *const yes[] = {"yes", "on", "true", "1"};
	static const char *const no[] = {"no", "off", "false", "0"};

	for (size_t i = 0; i < 4; i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*value = strcmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return error_set(e, "'%s' is neither yes nor no", text);
}

static int choice_check(const struct option *o, const char *text, struct error *e)
{
	size_t size = strlen(text);

	for (const char *at = o->argument; at != NULL; at = strchr(at, '|')) {
		at += *at == '|';
		if (size > 0 && strncmp(at, text, size) == 0 &&
		    (at[size] == '|' || at[size] == '\0'))
			return 0;
	}
	return error_set(e, "'%s' is not one of %s", text, o->argument);
}

static int option_set(
    struct config *config, const struct option *o, const char *text, struct error *e)
{
	void *place = (char *)config + o->offset;
	int bad = 0;

	switch (o->type) {
	case TYPE_NUMBER:
	case TYPE_SIZE: return number_parse(o, text, place, e);
	case TYPE_FLAG: return flag_parse(text, place, e);
	case TYPE_CHOICE:
		if (choice_check(o, text, e) < 0)
			return -1;
		bad = string_set(place, text);
		break;
	case TYPE_STRING: bad = string_set(place, text); break;
	case TYPE_LIST: bad = config_list_append(place, text); break;
	}
	return bad < 0 ? error_set(e, "out of memory") : 0;
}

/* One "--name[=value]" at argv[*at]. */
static int read_option(struct reading *r, int argc, char **argv, int *at)
{
	const char *name = argv[*at] + 2;
	const char *value = strchr(name, '=');
	size_t size = value != NULL ? (size_t)(value - name) : strlen(name);
	const struct option *o = option_find(name, size, r->command);

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
	r->given[o - options] = true;
	if (option_set(r->config, o, value, r->e) < 0)
		return error_prefix(r->e, "option --%s", o->name);
	return 0;
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

/* libinih reads through this, so that the line is known when a key is refused. */
static char *read_line(char *line, int size, void *stream)
{
	struct reading *r = stream;

	char *got = fgets(line, size, r->stream);

	r->line++;
	/* Told here, since libinih says nothing of a section without keys. */
	if (got != NULL && line[strspn(line, " \t")] == '[' && !r->failed) {
		r->failed = true;
		line[strcspn(line, "\r\n")] = '\0';
		error_set(r->e, "%s:%d: unknown section %.100s", r->config->config_file, r->line,
		    line + strspn(line, " \t"));
	}
	return got;
}

/* libinih calls this for each key; 0 means an error. The first mistake is the one told. */
static int read_key(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	const struct option *o = option_find(name, strlen(name), r->command);
	struct error why;
	int result = 0;

	(void)section; /* refused in read_line */
	if (r->failed)
		return 0;
	if (o == NULL || o->offset == VALUE(config_file))
		result = error_set(&why, "unknown key '%s'", name);
	else if (!r->given[o - options])
		result = option_set(r->config, o, value != NULL ? value : "", &why) < 0
			     ? error_prefix(&why, "%s", name)
			     : 0;
	if (result == 0)
		return 1;
	r->failed = true;
	error_set(r->e, "%s:%d: %.400s", r->config->config_file, r->line, why.message);
	return 0;
}

static int read_file(struct reading *r)
{
	const char *file = r->config->config_file;
	int line;

	r->stream = fopen(file, "re");
	if (r->stream == NULL)
		return error_errno(r->e, "configuration file %s", file);
	line = ini_parse_stream(read_line, r, read_key, r);
	fclose(r->stream);
	if (r->failed)
		return -1;
	if (line > 0)
		return error_set(r->e, "%s:%d: neither 'name = value' nor a comment", file, line);
	return line != 0 ? -1 : 0;
}

static int set_defaults(struct config *config, struct error *e)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (options[i].fallback != NULL &&
		    option_set(config, &options[i], options[i].fallback, e) < 0)
			return -1;
	return 0;
}

static int folder_check(char **path, const char *what, struct error *e)
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
		return error_set(e, "%s %s: not a folder", what, real);
	if (access(real, R_OK | X_OK) < 0)
		return error_errno(e, "%s %s", what, real);
	return 0;
}

int config_read(struct config *config, enum config_command command, int argc, char **argv,
    int max_operands, int *operands, struct error *e)
{
	struct reading r = {.config = config, .command = command, .e = e};

	*config = (struct config){0};
	if (set_defaults(config, e) < 0)
		return -1;
	if (read_command_line(&r, argc, argv, max_operands, operands) < 0)
		return -1;
	if (config->config_file != NULL && read_file(&r) < 0)
		return -1;
	if (config->root != NULL && folder_check(&config->root, "extension root", e) < 0)
		return -1;
	return folder_check(&config->tmpdir, "folder for temporary files", e);
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

void config_print_options(FILE *out, enum config_command command)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &options[i];
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

void config_list_release(struct config_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct config_list){0};
}

void config_release(struct config *config)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		char *place = (char *)config + options[i].offset;

		if (options[i].type == TYPE_STRING || options[i].type == TYPE_CHOICE) {
			free(*(char **)place);
			*(char **)place = NULL;
		} else if (options[i].type == TYPE_LIST) {
			config_list_release((struct config_list *)place);
		}
	}
}
