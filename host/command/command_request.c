/*
 * exthost request: a local host answers one request, with the reply on standard output. The request
 * is made here, from the command line. With --cgi, as the relay calls it when no host listens, the
 * request is in the environment and on standard input, and the reply must be the same as that of a
 * running host.
 */
#include "command/command.h"

#include "base/error.h"
#include "base/fd.h"
#include "command/command_fail.h"
#include "command/local_host.h"
#include "config/config_check.h"
#include "config/config_read.h"
#include "request/request.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The request that is made of the command line. */
struct made {
	struct config *config;
	struct request request;
	int refused;      /* status for a request that no web server would pass on; 0: a good one */
	struct error why; /* reason of that status */
};

static int prepare(struct made *m, int operands, char **argv, struct error *e);
static int describe(struct made *m, const char *method, const char *path, struct error *e);
static int answer(struct made *m, const struct binding *const *bindings, struct error *e);

int command_request(const struct binding *const *bindings, int argc, char **argv)
{
	const struct config_source source = {.argc = argc, .argv = argv, .bindings = bindings};
	struct config config;
	struct made m = {.config = &config};
	struct error e;
	int operands;
	int result;

	request_init(&m.request);
	if (config_check_request(&source, &operands, &config, &e) < 0 ||
	    prepare(&m, operands, argv, &e) < 0) {
		result = command_fail(2, "%s", e.message);
	} else {
		result = answer(&m, bindings, &e);
		if (result < 0)
			result = command_fail(1, "%s", e.message);
	}
	request_release(&m.request);
	config_release(&config);
	return result;
}

/* The root of a CGI request is the server's, or else the directory of the script. */
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

static int set_script(struct made *m, const char *script, struct error *e)
{
	char path[PATH_MAX];

	if (script[0] != '/' && realpath(script, path) == NULL)
		return error_errno(e, "script %s", script);
	if (cgi_variables_set(
		&m->request.variables, "SCRIPT_FILENAME", script[0] != '/' ? path : script) < 0)
		return error_errno(e, "variables of the request");
	return 0;
}

static int prepare(struct made *m, int operands, char **argv, struct error *e)
{
	struct config *config = m->config;

	if (operands == 0)
		return error_set(
		    e, "request needs a PATH, as in: exthost request /hello.py --root DIR");
	if (config->cgi) {
		if (set_cgi_root(config, argv[0], e) < 0)
			return -1;
		m->request.relay = true;
		return set_script(m, argv[0], e);
	}
	if (config->root == NULL)
		return error_set(e, "request needs --root DIR, the directory whose files answer");
	if (operands == 1)
		return describe(m, config->body != NULL ? "POST" : "GET", argv[0], e);
	return describe(m, argv[0], argv[1], e);
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

static int set_extra(struct made *m, struct error *e)
{
	struct cgi_variables *v = &m->request.variables;

	for (size_t i = 0; i < m->config->header.count; i++)
		if (set_header(v, m->config->header.items[i], e) < 0)
			return -1;
	for (size_t i = 0; i < m->config->env.count; i++) {
		char *name = strdup(m->config->env.items[i]);
		char *value = name != NULL ? strchr(name, '=') : NULL;
		int bad;

		if (value == NULL || value == name) {
			free(name);
			return error_set(
			    e, "option --env: '%s' is not NAME=VALUE", m->config->env.items[i]);
		}
		*value++ = '\0';
		bad = cgi_variables_set(v, name, value);
		free(name);
		if (bad < 0)
			return error_errno(e, "variables of the request");
	}
	return 0;
}

static int read_body(struct made *m, struct error *e)
{
	const char *name = m->config->body;
	FD_OWNED int file = -1;
	char size[32];

	if (name == NULL)
		return 0;
	file = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return error_errno(e, "option --body: open %s", name);
	if (request_read_body(&m->request, file, -1, m->config, e) != 0)
		return -1;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)m->request.body_size);
	if (cgi_variables_default(
		&m->request.variables, "CONTENT_TYPE", "application/x-www-form-urlencoded") < 0)
		return -1;
	return cgi_variables_set(&m->request.variables, "CONTENT_LENGTH", size);
}

/*
 * Decode the path of a URL (`size` bytes) as web servers do: %XX becomes that byte (RFC 3986, 2.1),
 * and '+' stays. They refuse a '%' without two digits, and NUL; then m->refused is set. NULL: no
 * memory.
 */
static char *decode_path(struct made *m, const char *path, size_t size)
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
			m->refused = 400;
			error_set(&m->why, "the path has a %% without two hexadecimal digits");
		}
		if (byte == '\0') {
			m->refused = 404;
			error_set(&m->why, "the path has a NUL");
		}
		*to++ = byte;
	}
	if (decoded != NULL)
		*to = '\0';
	return decoded;
}

/* Make the variables that a web server would send. */
static int describe(struct made *m, const char *method, const char *path, struct error *e)
{
	struct cgi_variables *v = &m->request.variables;
	size_t size = strcspn(path, "?");
	char *script = decode_path(m, path, size);
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
	return set_extra(m, e) < 0 ? -1 : read_body(m, e);
}

/* The exit status, or -1 with *e: there is no reply. */
static int answer(struct made *m, const struct binding *const *bindings, struct error *e)
{
	static struct local_host host; /* it must stay until the process ends */
	struct request *r = &m->request;
	int result = local_host_open(&host, m->config, bindings, e);

	r->trust_fossil = true;
	r->hold = true;
	r->response.fd = STDOUT_FILENO;
	if (result == 0 && m->config->cgi)
		m->refused = request_read_cgi(r, m->config, &m->why);
	if (result == 0 && m->refused != 0)
		local_host_refuse(&host, r, m->refused, &m->why);
	else if (result == 0)
		result = local_host_answer(&host, r, e);
	local_host_close(&host);
	return result < 0 ? -1 : r->status >= 400 || r->status == 0 ? 1 : 0;
}
