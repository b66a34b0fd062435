/*
 * libfcgi decodes for the front. It is given a connection only when a whole and well-formed
 * request is there (connection_look), so it never waits and never meets bytes that it would
 * misread. It would also accept, write and close; its accept and close cost a third of its speed,
 * so the connection is set from outside before FCGX_Accept_r (with keepConnection, since that call
 * first finishes the request before), and FCGX_Free frees its memory without touching the
 * connection.
 *
 * request_records.c decodes requests that come in pieces, or that libfcgi would misread. Both
 * decoders hand over variables and pieces of the body to request_make.c, which has the rules.
 */
#include "request/request.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"
#include "config/environment.h"
#include "net/connection.h"
#include "net/listen.h"

#include <errno.h>
#include <fcgiapp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define PIECE 65536

static int copy_variables(struct request *r, char **params, struct error *e);
static int read_stream(
    struct request *r, FCGX_Stream *in, const struct config *config, struct error *e);

void request_init_numbered(struct request *r, uint64_t number)
{
	*r = (struct request){.body = -1, .began = clock_now(), .language = -1};
	for (size_t i = REQUEST_ID_SIZE - 1; i-- > 0; number >>= 4)
		r->id[i] = "0123456789abcdef"[number & 15];
}

void request_init(struct request *r)
{
	uint64_t number = 0;

	(void)!getrandom(&number, sizeof(number), 0);
	request_init_numbered(r, number);
}

int request_start_decoder(struct error *e)
{
	return FCGX_Init() != 0 ? error_set(e, "libfcgi does not start") : 0;
}

void request_came_on(struct request *r, const struct connection *c)
{
	r->trust_fossil = r->relay = r->hold = c->listener->trust_fossil;
	r->response.fd = c->fd;
	r->response.fastcgi = true;
	r->response.request_id = c->check.request_id;
}

int request_from_connection(struct request *r, struct request_taken *t, struct connection *c,
    const struct config *config, struct error *e)
{
	if (!c->is_taken)
		return request_read(r, c->fd, config, e);
	return request_taken_begin(r, t, &c->taken, &c->check, config, e);
}

int request_read(struct request *r, int connection, const struct config *config, struct error *e)
{
	FCGX_Request decoded;
	int result;

	FCGX_InitRequest(&decoded, -1, 0);
	decoded.keepConnection = 1;
	decoded.detached = 1;
	/* libfcgi closes its descriptor on failure, so it gets one of its own. */
	decoded.ipcFd = dup(connection);
	if (decoded.ipcFd < 0)
		return error_errno(e, "connection"), -1;
	if (FCGX_Accept_r(&decoded) < 0)
		return error_set(e, "the request could not be decoded"), -1;
	result = copy_variables(r, decoded.envp, e);
	if (result == 0)
		result = read_stream(r, decoded.in, config, e);
	FCGX_Free(&decoded, 0);
	fd_close(&decoded.ipcFd);
	return result;
}

/* Copy "NAME=value" strings, of libfcgi or of the environment, into one block. 0 or 500. */
static int copy_variables(struct request *r, char **params, struct error *e)
{
	size_t size = 0, item_size;
	char *at;
	int status = 0;

	for (char **p = params; *p != NULL; p++)
		size += strlen(*p) + 1;
	at = malloc(size + 1);
	if (at == NULL)
		return error_errno(e, "variables of the request"), 500;
	cgi_variables_take_block(&r->variables, at, size);
	for (char **p = params; *p != NULL && status == 0; p++, at += item_size) {
		item_size = strlen(*p) + 1;
		memcpy(at, *p, item_size);
		status = request_add_variable(r, at, strcspn(at, "="), e);
	}
	return status;
}

/* Read the whole STDIN stream. */
static int read_stream(
    struct request *r, FCGX_Stream *in, const struct config *config, struct error *e)
{
	struct request_body body;
	char piece[PIECE];
	int n;
	int status = request_body_begin(r, &body, config, e);

	while (status == 0 && (n = FCGX_GetStr(piece, sizeof(piece), in)) > 0)
		status = request_body_add(r, &body, piece, (size_t)n, config, e);
	if (status != 0)
		return status;
	return FCGX_GetError(in) != 0 ? request_body_cut(&body, e) : request_body_end(r, &body, e);
}

/*
 * Read b->length bytes, or with -1 all to the end. `result`: 0, or a refusal that is known
 * already. 0 or a status. A body of known length is read to its end even if it is refused.
 */
static int read_body(struct request *r, struct request_body *b, int from,
    const struct config *config, int result, struct error *e)
{
	uint64_t left = b->length >= 0 ? (uint64_t)b->length : UINT64_MAX;
	char piece[PIECE];

	while (left > 0) {
		ssize_t n = read(from, piece, left < sizeof(piece) ? left : sizeof(piece));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 && result != 0)
			return result;
		if (n < 0)
			return error_errno(e, "read the body"), 400;
		if (n == 0)
			break;
		if (result == 0)
			result = request_body_add(r, b, piece, (size_t)n, config, e);
		if (result != 0 && b->length < 0)
			return result;
		left -= (uint64_t)n;
	}
	return result != 0 ? result : request_body_end(r, b, e);
}

int request_read_body(
    struct request *r, int from, int64_t size, const struct config *config, struct error *e)
{
	struct request_body body = {.length = size};

	return read_body(r, &body, from, config, 0, e);
}

int request_read_cgi(struct request *r, const struct config *config, struct error *e)
{
	struct request_body body;
	int result = copy_variables(r, environ, e);

	if (result != 0)
		return result;
	result = request_body_begin(r, &body, config, e);
	if (result != 0 && result != 413)
		return result;
	if (body.length < 0)
		body.length = 0;
	return read_body(r, &body, STDIN_FILENO, config, result, e);
}

static int set_port(struct cgi_variables *v)
{
	const char *host = cgi_variables_text(v, "HTTP_HOST");
	const char *colon = strrchr(host, ':');
	const char *https = cgi_variables_text(v, "HTTPS");
	bool secure = strcmp(https, "on") == 0 || strcmp(https, "1") == 0;

	if (colon != NULL && colon[1] != '\0' &&
	    strspn(colon + 1, "0123456789") == strlen(colon + 1))
		return cgi_variables_default(v, "SERVER_PORT", colon + 1);
	return cgi_variables_default(v, "SERVER_PORT", secure ? "443" : "80");
}

int request_complete_variables(struct request *r, struct error *e)
{
	struct cgi_variables *v = &r->variables;

	/*
	 * A header named Proxy would steer HTTP clients, some of which look for it in small
	 * letters.
	 */
	cgi_variables_remove_any_case(v, "HTTP_PROXY");
	/*
	 * The body is decoded (RFC 9112, 7.1.3); given this, Werkzeug 2.3 ignores CONTENT_LENGTH.
	 */
	cgi_variables_remove(v, "HTTP_TRANSFER_ENCODING");
	if (!r->trust_fossil)
		cgi_variables_remove_prefix(v, "FOSSIL_");
	if (cgi_variables_default(v, "GATEWAY_INTERFACE", "CGI/1.1") < 0 ||
	    cgi_variables_default(v, "SERVER_PROTOCOL", "HTTP/1.0") < 0 ||
	    cgi_variables_default(v, "REQUEST_METHOD", "GET") < 0 ||
	    cgi_variables_default(v, "SERVER_NAME", "localhost") < 0 ||
	    cgi_variables_default(v, "SERVER_SOFTWARE", "exthost") < 0 || set_port(v) < 0 ||
	    (cgi_variables_get(v, "QUERY_STRING") == NULL &&
		cgi_variables_set(v, "QUERY_STRING", "") < 0))
		return error_errno(e, "variables of the request");
	return 0;
}

static bool is_always_there(const char *name)
{
	return strcmp(name, "PATH") == 0 || strcmp(name, "HOME") == 0 || strcmp(name, "LANG") == 0;
}

int request_add_environment(
    struct request *r, const struct config_list *environment, bool whole, struct error *e)
{
	struct cgi_variables *v = &r->variables;
	char name[ENVIRONMENT_NAME_MAX + 1];
	int result = 0;

	for (size_t i = 0; i < environment->count && result == 0; i++) {
		const char *item = environment->items[i];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(item, "="), item);
		if ((whole || is_always_there(name)) && cgi_variables_get(v, name) == NULL)
			result = cgi_variables_add(v, item);
	}
	if (result < 0 || cgi_variables_default(v, "PATH", "/usr/bin:/bin") < 0 ||
	    cgi_variables_default(v, "HOME", "/") < 0 ||
	    cgi_variables_default(v, "LANG", "C.UTF-8") < 0)
		return error_errno(e, "variables of the request");
	return 0;
}

/* The size of a prefix without the slashes at its end. */
static size_t prefix_size(const char *prefix)
{
	size_t size = strlen(prefix);

	while (size > 0 && prefix[size - 1] == '/')
		size--;
	return size;
}

const char *request_path(
    const struct request *r, const char *prefix, char *path, size_t size, struct error *e)
{
	const char *script = cgi_variables_text(&r->variables, "SCRIPT_NAME");
	const char *info = cgi_variables_text(&r->variables, "PATH_INFO");
	size_t script_size = strlen(script), info_size = strlen(info);
	size_t skip = prefix_size(prefix);

	if (script_size + info_size >= size)
		return error_set(e, "the path is longer than %zu bytes", size - 1), NULL;
	memcpy(path, script, script_size);
	memcpy(path + script_size, info, info_size + 1);
	if (strncmp(path, prefix, skip) != 0 || (path[skip] != '/' && path[skip] != '\0'))
		return error_set(e, "the path is not below the prefix %s", prefix), NULL;
	return path + skip;
}

/* The text fits: it is the beginning of the path that was asked for (request_path). */
static int set_script_name(struct cgi_variables *v, const struct script_place *place)
{
	char text[REQUEST_PATH_MAX];
	size_t size = prefix_size(place->prefix), name_size = strlen(place->name);

	if (size + name_size + 2 > sizeof(text))
		return -1;
	memcpy(text, place->prefix, size);
	if (name_size > 0)
		text[size++] = '/';
	memcpy(text + size, place->name, name_size + 1);
	return cgi_variables_set(v, "SCRIPT_NAME", text);
}

int request_name_script(
    struct request *r, const struct script_place *place, const char *path_info, struct error *e)
{
	struct cgi_variables *v = &r->variables;

	if (cgi_variables_set(v, "SCRIPT_FILENAME", place->file) < 0 ||
	    cgi_variables_set(v, "DOCUMENT_ROOT", place->root) < 0 ||
	    (!r->relay && (set_script_name(v, place) < 0 ||
			      cgi_variables_set(v, "PATH_INFO", path_info) < 0)))
		return error_errno(e, "variables of the request"), 500;
	return 0;
}

bool request_may_see_traceback(const struct request *r)
{
	return r->trust_fossil &&
	       strpbrk(cgi_variables_text(&r->variables, "FOSSIL_CAPABILITIES"), "saD") != NULL;
}

bool request_is_unread(const struct request *r)
{
	return r->unended && !r->response.failed;
}

void request_release(struct request *r)
{
	fd_close(&r->body);
	buffer_release(&r->behind);
	cgi_variables_release(&r->variables);
	response_release(&r->response);
}
