/*
 * exthost request: the same stages as in the front, once, with the reply on standard output. Its
 * template is a child of this process and starts only the language that is needed. The relay comes
 * here with --cgi when no host listens: then the request is in the environment and on standard
 * input, and the answer must be what the host would have given.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/language.h"
#include "base/log.h"
#include "binding.h"
#include "command/command.h"
#include "command/command_fail.h"
#include "config/config_read.h"
#include "front/answer.h"
#include "ipc/template_channel.h"
#include "pool/app_pool.h"
#include "request/exchange.h"
#include "request/request.h"
#include "request/route.h"
#include "request/script.h"
#include "run/spares.h"
#include "template/template.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define APPS_STOP 3000000000 /* nanoseconds for app workers to end */

struct once {
	struct config *config;
	const struct binding *const *bindings;
	struct log log;
	struct front_shared shared;
	struct app_pool_setup apps;
	struct request request;
	int refused; /* the status of a request that no web server would hand on; 0: it is well */
	struct error why;
	pid_t template;
};

static int describe(struct once *o, const char *method, const char *path, struct error *e);
static int find_language(struct once *o);
static int start_template(struct once *o, int language, struct error *e);
static int answer(struct once *o, struct error *e);

/* Of a CGI request the root is the server's, or else the script's own folder. */
static int set_cgi_root(struct config *config, const char *script, struct error *e)
{
	const char *root = getenv("DOCUMENT_ROOT");
	char path[PATH_MAX];
	char *folder;

	if (config->root != NULL)
		return 0;
	if (root == NULL || root[0] != '/') {
		if (realpath(script, path) == NULL)
			return error_errno(e, "script %s", script);
		folder = strrchr(path, '/');
		folder[folder == path ? 1 : 0] = '\0';
		root = path;
	}
	config->root = realpath(root, NULL);
	return config->root == NULL ? error_errno(e, "extension root %s", root) : 0;
}

static int set_script(struct once *o, const char *script, struct error *e)
{
	char path[PATH_MAX];

	if (script[0] != '/' && realpath(script, path) == NULL)
		return error_errno(e, "script %s", script);
	if (cgi_variables_set(
		&o->request.variables, "SCRIPT_FILENAME", script[0] != '/' ? path : script) < 0)
		return error_errno(e, "variables of the request");
	return 0;
}

static int prepare(struct once *o, int operands, char **argv, struct error *e)
{
	struct config *config = o->config;

	if (operands == 0)
		return error_set(
		    e, "request needs a PATH, as in: exthost request /hello.py --root DIR");
	if (config->cgi) {
		if (set_cgi_root(config, argv[0], e) < 0)
			return -1;
		o->request.relay = true;
		return set_script(o, argv[0], e);
	}
	if (config->root == NULL)
		return error_set(e, "request needs --root DIR, the folder whose files answer");
	if (operands == 1)
		return describe(o, config->body != NULL ? "POST" : "GET", argv[0], e);
	return describe(o, argv[0], argv[1], e);
}

int command_request(const struct binding *const *bindings, int argc, char **argv)
{
	const struct config_source source = {.argc = argc, .argv = argv, .bindings = bindings};
	struct config config;
	struct once o = {.config = &config,
	    .bindings = bindings,
	    .log = {.fd = STDERR_FILENO, .least = LEVEL_INFO},
	    .shared = {.root = -1}};
	struct error e;
	int operands;
	int result;

	request_init(&o.request);
	if (config_read(&config, CONFIG_REQUEST, &source, 2, &operands, &e) < 0 ||
	    prepare(&o, operands, argv, &e) < 0)
		result = command_fail(2, "%s", e.message);
	else {
		result = answer(&o, &e);
		if (result < 0)
			result = command_fail(1, "%s", e.message);
	}
	request_release(&o.request);
	config_release(&config);
	return result;
}

/* "X-Thing: value" becomes HTTP_X_THING (RFC 3875, 4.1.18). */
static int set_header(struct cgi_variables *v, const char *header, struct error *e)
{
	const char *colon = strchr(header, ':');
	char name[256];
	int n;

	if (colon == NULL || colon == header || colon - header > 200)
		return error_set(e, "option --header: '%s' is not 'NAME: VALUE'", header);
	n = snprintf(name, sizeof(name), "HTTP_%.*s", (int)(colon - header), header);
	for (int i = 5; i < n; i++)
		name[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
	colon++;
	colon += strspn(colon, " \t");
	if (strcmp(name, "HTTP_CONTENT_TYPE") == 0 || strcmp(name, "HTTP_CONTENT_LENGTH") == 0)
		return cgi_variables_set(v, name + 5, colon);
	return cgi_variables_set(v, name, colon);
}

static int set_extra(struct once *o, struct error *e)
{
	struct cgi_variables *v = &o->request.variables;

	for (size_t i = 0; i < o->config->header.count; i++)
		if (set_header(v, o->config->header.items[i], e) < 0)
			return -1;
	for (size_t i = 0; i < o->config->env.count; i++) {
		char *name = strdup(o->config->env.items[i]);
		char *value = name != NULL ? strchr(name, '=') : NULL;
		int bad;

		if (value == NULL || value == name) {
			free(name);
			return error_set(
			    e, "option --env: '%s' is not NAME=VALUE", o->config->env.items[i]);
		}
		*value++ = '\0';
		bad = cgi_variables_set(v, name, value);
		free(name);
		if (bad < 0)
			return error_errno(e, "variables of the request");
	}
	return 0;
}

static int read_body(struct once *o, struct error *e)
{
	const char *name = o->config->body;
	FD_OWNED int file = -1;
	char size[32];

	if (name == NULL)
		return 0;
	file = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return error_errno(e, "option --body: open %s", name);
	if (request_read_body(&o->request, file, -1, o->config, e) != 0)
		return -1;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)o->request.body_size);
	if (cgi_variables_default(
		&o->request.variables, "CONTENT_TYPE", "application/x-www-form-urlencoded") < 0)
		return -1;
	return cgi_variables_set(&o->request.variables, "CONTENT_LENGTH", size);
}

/*
 * A URL's path (size bytes) as web servers hand it on: each %XX is the byte (RFC 3986, 2.1), a '+' stays.
 * They refuse a '%' with no two digits, and NUL; so does this, in *o. NULL: no memory.
 */
static char *decode_path(struct once *o, const char *path, size_t size)
{
	char *decoded = malloc(size + 1), *to = decoded;

	for (size_t i = 0; decoded != NULL && i < size; i++) {
		bool is_escaped = path[i] == '%' && size - i > 2 &&
				  isxdigit((unsigned char)path[i + 1]) &&
				  isxdigit((unsigned char)path[i + 2]);
		char byte = path[i];

		if (is_escaped) {
			const char digits[] = {path[i + 1], path[i + 2], '\0'};

			byte = (char)strtoul(digits, NULL, 16);
			i += 2;
		} else if (byte == '%') {
			o->refused = 400;
			error_set(&o->why, "the path has a %% without two hexadecimal digits");
		}
		if (byte == '\0') {
			o->refused = 404;
			error_set(&o->why, "the path has a NUL");
		}
		*to++ = byte;
	}
	if (decoded != NULL)
		*to = '\0';
	return decoded;
}

/* The variables of a request that a server would have sent. */
static int describe(struct once *o, const char *method, const char *path, struct error *e)
{
	struct cgi_variables *v = &o->request.variables;
	size_t size = strcspn(path, "?");
	char *script = decode_path(o, path, size);
	int bad;

	if (path[0] != '/' || method[strcspn(method, "/: \t\r\n")] != '\0') {
		free(script);
		return path[0] != '/'
			   ? error_set(e, "the path '%s' does not begin with /", path)
			   : error_set(e, "'%s', before the path, is not a method", method);
	}
	bad = script == NULL || cgi_variables_set(v, "REQUEST_METHOD", method) < 0 ||
	      cgi_variables_set(v, "REQUEST_URI", path) < 0 ||
	      cgi_variables_set(v, "SCRIPT_NAME", script) < 0 ||
	      cgi_variables_set(v, "QUERY_STRING", path[size] == '?' ? path + size + 1 : "") < 0 ||
	      cgi_variables_set(v, "REMOTE_ADDR", "127.0.0.1") < 0 ||
	      cgi_variables_set(v, "SERVER_PROTOCOL", "HTTP/1.1") < 0;
	free(script);
	if (bad)
		return error_errno(e, "variables of the request");
	return set_extra(o, e) < 0 ? -1 : read_body(o, e);
}

/* Which language the template must start: -1 when no script will run. */
static int find_language(struct once *o)
{
	const struct cgi_variables *v = &o->request.variables;
	struct route route;
	struct error e;
	struct script_found found = {.language = -1, .code = -1};

	if (o->request.relay)
		route_find_script(&route, o->shared.root, o->config->root,
		    cgi_variables_text(v, "SCRIPT_FILENAME"), &e);
	else
		route_find(&route, o->shared.root, cgi_variables_text(v, "SCRIPT_NAME"), &e);
	if (route.kind == ROUTE_SCRIPT)
		scripts_find(
		    o->shared.run.scripts, route.name, route.file, &route.status, &found, &e);
	route_release(&route);
	fd_close(&found.code);
	return found.language;
}

static int start_template(struct once *o, int language, struct error *e)
{
	int channel[2], status[2];
	struct template_setup setup = {.binding = o->bindings[language],
	    .preload = o->config->preload.items,
	    .preload_count = o->config->preload.count,
	    .log = &o->log};
	struct template_status message = {0};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status) < 0)
		return error_errno(e, "channel to the template");
	o->template = fork();
	if (o->template == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(channel[0]);
		close(status[0]);
		setup.channel = channel[1];
		setup.status = status[1];
		template_main(&setup);
	}
	close(channel[1]);
	close(status[1]);
	if (template_status_receive(status[0], &message, 0) != 1 ||
	    message.event != TEMPLATE_READY) {
		close(channel[0]);
		close(status[0]);
		return error_set(e, "template: %s",
		    message.event == TEMPLATE_REFUSED ? "a module to preload starts a thread"
						      : message.text);
	}
	close(status[0]);
	spares_connect(o->shared.run.spares, language, channel[0]);
	return 0;
}

static void answer_once(struct once *o)
{
	struct exchange x;

	exchange_init(&x, &o->request, o->config, &o->log);
	x.quiet = true;
	if (o->refused > 0)
		exchange_refuse(&x, o->refused, "%s", o->why.message);
	else
		answer_request(&o->shared, &x, "");
	answer_end(&o->shared, &x);
}

static int answer(struct once *o, struct error *e)
{
	struct config *config = o->config;
	int languages = 0;
	int language;
	int result = 0;

	signal(SIGPIPE, SIG_IGN);
	while (o->bindings[languages] != NULL)
		languages++;
	o->request.trust_fossil = true;
	o->request.hold = true;
	o->request.response.fd = STDOUT_FILENO;
	o->shared.root = open(config->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	o->shared.run.root = config->root;
	o->shared.run.log = &o->log;
	o->shared.run.spares = spares_create(languages, 1);
	o->shared.run.scripts = scripts_create(o->bindings);
	o->apps = (struct app_pool_setup){.log = &o->log,
	    .spares = o->shared.run.spares,
	    .scripts = o->shared.run.scripts,
	    .bindings = o->bindings,
	    .root_path = config->root,
	    .root = o->shared.root};
	o->shared.run.apps = app_pool_create(&o->apps);
	if (o->shared.root < 0 || o->shared.run.apps == NULL || o->shared.run.spares == NULL ||
	    o->shared.run.scripts == NULL)
		return error_errno(e, "extension root %s", config->root);
	if (config->cgi)
		o->refused = request_read_cgi(&o->request, config, &o->why);
	language = find_language(o);
	if (o->refused == 0 && language >= 0 && start_template(o, language, e) < 0)
		result = -1;
	else
		answer_once(o);
	app_pool_stop(o->shared.run.apps, clock_now() + APPS_STOP);
	app_pool_release(o->shared.run.apps);
	spares_destroy(o->shared.run.spares);
	scripts_destroy(o->shared.run.scripts);
	fd_close(&o->shared.root);
	if (o->template > 0) {
		kill(o->template, SIGKILL);
		waitpid(o->template, NULL, 0);
	}
	return result < 0 ? -1 : o->request.status >= 400 || o->request.status == 0 ? 1 : 0;
}
