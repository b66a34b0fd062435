/*
 * The table of the host's options. A row is a name, a type, a default, a range and a sentence; the
 * same name is the option (--name VALUE) and the key in the file (name = VALUE). What the languages
 * declare as their own settings is put in among them, and is an option like any other from there
 * on.
 */
#include "config/option.h"

#include "base/buffer.h"
#include "base/error.h"
#include "binding.h"
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE(member) offsetof(struct config, member)
#define BOTH (CONFIG_SERVE | CONFIG_REQUEST)
#define EACH (BOTH | CONFIG_EXTENSION) /* may be set for some extensions only */
#define LIMIT(member) offsetof(struct config, limits.member)
#define OF_EXTENSION(member) offsetof(struct config, extension.member)
#define ENVIRONMENT(member) offsetof(struct config, environment.member)
#define SERVICE(member) offsetof(struct config, service.member)
#define APP(member) offsetof(struct config, app.member)
#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

const struct option options[] = {
    {"root", TYPE_PATH, VALUE(root), BOTH | CONFIG_STATUS | CONFIG_CHECK | CONFIG_FIXED, NULL, 0, 0,
	"DIR", "the extension root, the directory whose files answer"},
    {"config", TYPE_STRING, VALUE(config_file), BOTH | CONFIG_STATUS | CONFIG_CHECK, NULL, 0, 0,
	"FILE", "read more options from this INI file (exthost.conf(5))"},
    {"listen", TYPE_LIST, VALUE(listen), CONFIG_SERVE | CONFIG_FIXED, NULL, 0, 0, "ADDR",
	"where to listen: relay, unix:/path, tcp:HOST:PORT or fd (a socket that was passed in), "
	"each "
	"with ,trust=fossil ,mode=0660 ,prefix=/ext behind it; may be given more than once. "
	"Without "
	"it: relay, which is the socket .exthost.sock in the extension root with trust=fossil"},
    {"app", TYPE_STRING, VALUE(only_app), CONFIG_SERVE | CONFIG_CHECK | CONFIG_FIXED, NULL, 0, 0,
	"FILE",
	"serve this app and nothing else, at --listen, by as many app workers as --workers says; "
	"they "
	"accept themselves. Without --root the root is its directory"},
    {"prefix", TYPE_STRING, VALUE(prefix), CONFIG_SERVE, "", 0, 0, "PATH",
	"what to take off the front of every URL path, /ext for example"},
    {"allow-uid", TYPE_LIST, VALUE(allow_uid), CONFIG_SERVE, NULL, 0, 0, "USER",
	"a user, by name or number, who may connect to unix sockets, besides the host's own and "
	"root"},
    {"allow-gid", TYPE_LIST, VALUE(allow_gid), CONFIG_SERVE, NULL, 0, 0, "GROUP",
	"a group, by name or number, whose members may connect to unix sockets"},
    {"allow-from", TYPE_LIST, VALUE(allow_from), CONFIG_SERVE, NULL, 0, 0, "CIDR",
	"addresses that may connect to TCP sockets, besides loopback: 10.1.0.0/16"},
    {"spares", TYPE_NUMBER, VALUE(spares), CONFIG_SERVE, "2", 1, 256, "N",
	"how many request processes to keep forked ahead for each language in use"},
    {"max-connections", TYPE_NUMBER, VALUE(max_connections), CONFIG_SERVE | CONFIG_FIXED, "256", 1,
	16384, "N", "how many connections may be open at once; more clients wait"},
    {"max-header", TYPE_SIZE, VALUE(max_header), BOTH | CONFIG_FIXED, "128k", 4 * KIB, 1 * MIB,
	"BYTES", "the most that the variables of one request may hold; more is answered 431"},
    {"max-body", TYPE_SIZE, LIMIT(max_body), EACH, "64m", 0, 1024 * GIB, "BYTES",
	"the largest request body; more is answered 413"},
    {"body-timeout", TYPE_NUMBER, VALUE(body_timeout), CONFIG_SERVE, "60", 1, 86400, "SECONDS",
	"how long a request body may take to come, with a second more for each KiB that has; then "
	"it is answered 408"},
    {"max-reply", TYPE_SIZE, LIMIT(max_reply), EACH, "1g", 4 * KIB, 1024 * GIB, "BYTES",
	"the largest reply that is held to its end, as for the relay; more is a failure, 500"},
    {"timeout", TYPE_NUMBER, LIMIT(timeout), EACH, "30", 1, 86400, "SECONDS",
	"how long a run may take; then it is ended, 504"},
    {"cpu", TYPE_NUMBER, LIMIT(cpu), EACH, "unlimited", 1, 86400, "SECONDS",
	"how much processor time a run may use; then it is ended, 504"},
    {"memory", TYPE_SIZE, LIMIT(memory), EACH, "unlimited", 1 * MIB, 1024 * GIB, "BYTES",
	"how much memory each process of a run may take, beyond what the interpreter has; a run "
	"that fails for want of more is answered 500"},
    {"processes", TYPE_NUMBER, LIMIT(processes), EACH, "unlimited", 0, 10000, "N",
	"how many processes a run may start, one after another or at once; a further fork fails"},
    {"lane", TYPE_NUMBER, LIMIT(lane), EACH, "8", 1, 16384, "N",
	"how many runs of one extension there may be at once; further ones wait"},
    {"mode", TYPE_CHOICE, OF_EXTENSION(mode), EACH, "auto", 0, 0, "auto|cgi|app|rerun",
	"how an extension is run; auto: .wsgi files, and files with a line '# exthost: app' among "
	"their first ten, are apps, those with '# exthost: rerun' are run again in a process that "
	"stays, all others are CGI programs"},
    {"workers", TYPE_NUMBER, LIMIT(workers), EACH, "4", 1, 1024, "N",
	"how many app workers one app may have; more than --min-workers are started by need"},
    {"min-workers", TYPE_NUMBER, LIMIT(min_workers), EACH, "1", 0, 1024, "N",
	"how many app workers an app keeps once it has been asked for"},
    {"idle-exit", TYPE_NUMBER, LIMIT(idle_exit), EACH, "60", 1, 86400, "SECONDS",
	"how long an app worker beyond --min-workers waits for a request before it ends"},
    {"max-requests", TYPE_NUMBER, LIMIT(max_requests), EACH, "unlimited", 1, 1000000000, "N",
	"after so many requests an app worker is replaced"},
    {"max-rss", TYPE_SIZE, LIMIT(max_rss), EACH, "unlimited", 1 * MIB, 1024 * GIB, "BYTES",
	"an app worker that has more memory resident after a request is replaced"},
    {"reload", TYPE_CHOICE, OF_EXTENSION(reload), EACH, "keep", 0, 0, "keep|strict",
	"when a changed app does not load: keep the old one serving, or answer 500 with the "
	"reason"},
    {.name = NULL}, /* what the languages declare stands here: option_table_build */
    {"static", TYPE_STRING, OF_EXTENSION(static_content), EACH, "yes", 0, 0, "yes|no|PATTERN...",
	"which files that are not executable are sent: all, none, or those whose names beneath the "
	"root a pattern matches. Source, databases and keys never are"},
    {"env", TYPE_LIST, ENVIRONMENT(env), CONFIG_SERVE | CONFIG_EXTENSION, NULL, 0, 0, "NAME=VALUE",
	"an environment variable of extensions, unless the request has one of that name; may be "
	"given more than once"},
    {"env-file", TYPE_FILES, ENVIRONMENT(env_file), EACH, NULL, 0, 0, "FILE",
	"read such variables from this file, a line NAME=VALUE each (exthost.conf(5)); those of "
	"--env win; may be given more than once"},
    {"env-pass", TYPE_LIST, ENVIRONMENT(env_pass), EACH, NULL, 0, 0, "NAME",
	"pass this variable on from the host's own environment, if it is there; may be given more "
	"than once"},
    {"concurrency", TYPE_NUMBER, VALUE(concurrency), CONFIG_SERVE, "16", 1, 16384, "N",
	"how many runs there may be at once, of all extensions; further ones wait"},
    {"queue", TYPE_NUMBER, VALUE(queue), CONFIG_SERVE, "128", 0, 16384, "N",
	"how many requests may wait for a run; more are answered 503"},
    {"queue-timeout", TYPE_NUMBER, VALUE(queue_timeout), CONFIG_SERVE, "10", 1, 86400, "SECONDS",
	"how long a request may wait for a run; then it is answered 503"},
    {"reply-buffer", TYPE_SIZE, VALUE(reply_buffer), BOTH, "256k", 4 * KIB, 1 * GIB, "BYTES",
	"how much of a reply is held back, so that a failure until then is a clean error page"},
    {"tmpdir", TYPE_PATH, VALUE(tmpdir), BOTH, "/tmp", 0, 0, "DIR",
	"where large bodies and replies are kept, as unlinked files"},
    {"preload", TYPE_LIST, VALUE(preload), BOTH, NULL, 0, 0, "LANGUAGE:MODULE",
	"load this module or package before the first request: python:json, tcl:json::write"},
    {"grace", TYPE_NUMBER, VALUE(grace), CONFIG_SERVE, "10", 0, 86400, "SECONDS",
	"how long requests may take to finish after SIGTERM"},
    {"control", TYPE_STRING, VALUE(control), CONFIG_SERVE | CONFIG_STATUS | CONFIG_FIXED, "", 0, 0,
	"PATH",
	"the unix socket at which exthost status asks; none: there is none. Without it: "
	".exthost.control in the extension root"},
    {"metrics", TYPE_STRING, VALUE(metrics), CONFIG_SERVE, "", 0, 0, "PATH",
	"the URL path, less the prefix, at which Prometheus finds its figures; everybody who can "
	"ask "
	"for an extension can ask for it. Without it: nowhere"},
    {"log", TYPE_PATH, VALUE(log), CONFIG_SERVE | CONFIG_FIXED, NULL, 0, 0, "FILE",
	"append the log to this file, not to standard error; SIGUSR1 opens it again"},
    {"log-format", TYPE_CHOICE, VALUE(log_format), CONFIG_SERVE | CONFIG_FIXED, "text", 0, 0,
	"text|json", "how a log line is written"},
    {"debug", TYPE_FLAG, VALUE(debug), BOTH, NULL, 0, 0, NULL,
	"show tracebacks on error pages to everybody"},
    {"validate", TYPE_FLAG, VALUE(validate), BOTH, NULL, 0, 0, NULL,
	"check what WSGI applications do, with wsgiref.validate, which is stricter than PEP 3333"},
    {"json", TYPE_FLAG, VALUE(json), CONFIG_STATUS, NULL, 0, 0, NULL, "print JSON, not a table"},
    {"watch", TYPE_FLAG, VALUE(watch), CONFIG_STATUS, NULL, 0, 0, NULL,
	"print it again every two seconds, until Ctrl-C"},
    {"check", TYPE_FLAG, VALUE(check), CONFIG_STATUS, NULL, 0, 0, NULL,
	"print nothing when the host serves and its services run; else one line, and status 1"},
    {"stack", TYPE_STRING, VALUE(stack), CONFIG_STATUS, NULL, 0, 0, "ID",
	"print where the run of this request is"},
    {"run", TYPE_LIST, SERVICE(run), CONFIG_SERVICE, NULL, 0, 0, "COMMAND",
	"the program, by its path, and its arguments"},
    {"script", TYPE_STRING, SERVICE(script), CONFIG_SERVICE, NULL, 0, 0, "FILE",
	"a script for exthost's own interpreter, and its arguments"},
    {"writable", TYPE_LIST, SERVICE(writable), CONFIG_SERVICE, NULL, 0, 0, "PATH",
	"what it must be able to write to; more in indented lines"},
    {"env", TYPE_LIST, SERVICE(environment.env), CONFIG_SERVICE, NULL, 0, 0, "NAME=VALUE",
	"an environment variable of it"},
    {"env-file", TYPE_FILES, SERVICE(environment.env_file), CONFIG_SERVICE, NULL, 0, 0, "FILE",
	"a file with such variables"},
    {"env-pass", TYPE_LIST, SERVICE(environment.env_pass), CONFIG_SERVICE, NULL, 0, 0, "NAME",
	"of no use, since it has the host's environment"},
    {"script", TYPE_STRING, APP(script), CONFIG_APP, NULL, 0, 0, "FILE", "the app"},
    {"listen", TYPE_LIST, APP(listen), CONFIG_APP, NULL, 0, 0, "ADDR", "where its workers listen"},
    {"workers", TYPE_NUMBER, APP(workers), CONFIG_APP, "2", 1, 1024, "N", "how many there are"},
    {"prefix", TYPE_STRING, APP(prefix), CONFIG_APP, "", 0, 0, "PATH",
	"what of a URL's path is SCRIPT_NAME; the rest is PATH_INFO"},
    {"restart", TYPE_CHOICE, SERVICE(restart), CONFIG_SERVICE, "always", 0, 0,
	"always|on-failure|never", "when to start it again"},
    {"restart-delay", TYPE_NUMBER, SERVICE(restart_delay), CONFIG_SERVICE, "1", 0, 3600, "SECONDS",
	"how long to wait before; twice as long each time that it ends at once"},
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

_Static_assert(sizeof(options) / sizeof(options[0]) + LANGUAGE_SETTINGS_MAX <= OPTIONS_MAX,
    "OPTIONS_MAX is too small");

const size_t option_count = sizeof(options) / sizeof(options[0]);

static bool is_taken(const struct option_table *table, const char *name)
{
	for (size_t i = 0; i < option_count; i++)
		if (options[i].name != NULL && strcmp(options[i].name, name) == 0)
			return true;
	return option_find(table, name, strlen(name), ~0) != NULL;
}

/* *values: how many values of languages there are before. */
static int add_language(
    struct option_table *table, const struct binding *binding, size_t *values, struct error *e)
{
	for (size_t i = 0; i < binding->setting_count; i++) {
		const struct binding_setting *s = &binding->settings[i];

		if (*values == LANGUAGE_SETTINGS_MAX)
			return error_set(e,
			    "language %s: there are more than %d settings of languages",
			    binding->name, LANGUAGE_SETTINGS_MAX);
		if (is_taken(table, s->name))
			return error_set(e, "language %s: its setting %s is an option already",
			    binding->name, s->name);
		table->rows[table->count++] = (struct option){.name = s->name,
		    .type = s->kind == BINDING_DIRECTORIES ? TYPE_PATHS : TYPE_PATH,
		    .offset = OF_EXTENSION(languages) + (*values)++ * sizeof(char *),
		    .commands = EACH,
		    .fallback = "",
		    .argument = s->kind == BINDING_DIRECTORIES ? "DIR:..." : "DIR",
		    .help = s->help};
	}
	return 0;
}

int option_table_build(
    struct option_table *table, const struct binding *const *bindings, struct error *e)
{
	size_t values = 0;

	*table = (struct option_table){.count = 0};
	for (size_t i = 0; i < option_count; i++) {
		if (options[i].name != NULL) {
			table->rows[table->count++] = options[i];
			continue;
		}
		for (size_t n = 0; bindings != NULL && bindings[n] != NULL; n++)
			if (add_language(table, bindings[n], &values, e) < 0)
				return -1;
	}
	return 0;
}

const struct option *option_find(
    const struct option_table *table, const char *name, size_t size, int commands)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option *o = &table->rows[i];

		if (strlen(o->name) == size && memcmp(o->name, name, size) == 0 &&
		    (o->commands & commands) != 0)
			return o;
	}
	return NULL;
}

bool option_is_text(const struct option *o)
{
	return o->type == TYPE_STRING || o->type == TYPE_CHOICE || o->type == TYPE_PATH ||
	       o->type == TYPE_PATHS;
}

bool option_is_list(const struct option *o)
{
	return o->type == TYPE_LIST || o->type == TYPE_FILES;
}

static bool is_path(const struct option *o)
{
	return o->type == TYPE_PATH || o->type == TYPE_PATHS || o->type == TYPE_FILES;
}

/* Append a path of this size. false: it is relative, and there is no directory. */
static bool append_path(struct buffer *to, const char *path, size_t size, const char *directory)
{
	if (size > 0 && path[0] != '/') {
		if (directory == NULL)
			return false;
		buffer_printf(to, "%s/", strcmp(directory, "/") != 0 ? directory : "");
	}
	buffer_append(to, path, size);
	return true;
}

char *option_resolve(const struct option *o, const char *text, const char *directory)
{
	const char *end = o->type == TYPE_PATHS ? ":" : "";
	struct buffer resolved = {0};
	char *own = NULL, *copy = NULL;
	const char *result;
	bool good;

	if (!is_path(o) || text[0] == '\0')
		return strdup(text);
	if (directory == NULL)
		directory = own = getcwd(NULL, 0);
	do {
		size_t size = strcspn(text, end);

		good = append_path(&resolved, text, size, directory);
		text += size;
		buffer_append(&resolved, text, *text != '\0');
	} while (good && *text++ != '\0');
	result = buffer_string(&resolved);
	if (good && result != NULL)
		copy = strdup(result);
	buffer_release(&resolved);
	free(own);
	return copy;
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
	bool unlimited = o->fallback != NULL && strcmp(o->fallback, "unlimited") == 0;

	if (unlimited && strcmp(text, "unlimited") == 0) {
		*value = UINT64_MAX;
		return 0;
	}
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
		return error_set(e, "'%s' is not a number%s%s", text,
		    o->type == TYPE_SIZE ? " of bytes (k, m and g may follow)" : "",
		    unlimited ? " and not 'unlimited'" : "");
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

int option_set(void *place, const struct option *o, const char *text, struct error *e)
{
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
	case TYPE_STRING:
	case TYPE_PATH:
	case TYPE_PATHS: bad = string_set(place, text); break;
	case TYPE_LIST:
	case TYPE_FILES: bad = config_list_append(place, text); break;
	}
	return bad < 0 ? error_set(e, "out of memory") : 0;
}
