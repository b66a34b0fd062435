/*
 * libfcgi decodes: it is given a connection only when wire_check has seen a whole and well-formed
 * head there, so it never waits for parameters and never meets bytes it would misread. It would
 * also accept, write and close; its accept and close cost a third of its speed, so the connection
 * is set from outside before FCGX_Accept_r (keepConnection is set too, as that call first finishes
 * the request before), and FCGX_Free takes its memory away without its touching the connection.
 *
 * The body is read to its end before anything runs, so that a slow client holds no process.
 */
#include "request/request.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"

#include <errno.h>
#include <fcgiapp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BODY_IN_MEMORY 1048576
#define PIECE 65536

static int body_append(
    struct request *r, const void *data, size_t size, const struct config *config, struct error *e);
static int body_rewind(struct request *r, struct error *e);

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

#define LENGTH_UNKNOWN (-1)
#define LENGTH_BAD (-2)

/* In bytes. A value above INT64_MAX counts as INT64_MAX. */
static int64_t content_length(const struct cgi_variables *v)
{
	const char *text = cgi_variables_text(v, "CONTENT_LENGTH");

	if (text[0] == '\0' || strcmp(text, "-1") == 0)
		return LENGTH_UNKNOWN;
	return strspn(text, "0123456789") == strlen(text) ? strtoll(text, NULL, 10) : LENGTH_BAD;
}

static int copy_variables(struct request *r, char **params, struct error *e)
{
	for (; *params != NULL; params++)
		if (strncmp(*params, "FCGI_ROLE=", 10) != 0 &&
		    cgi_variables_add(&r->variables, *params) < 0)
			return error_errno(e, "variables of the request");
	return cgi_variables_settle(&r->variables) < 0 ? error_errno(e, "variables of the request")
						       : 0;
}

static int check_length(
    const struct request *r, int64_t length, const struct config *config, struct error *e)
{
	if (length == LENGTH_BAD)
		return error_set(e, "CONTENT_LENGTH '%s' is no number of bytes",
			   cgi_variables_text(&r->variables, "CONTENT_LENGTH")),
		       400;
	if (length > 0 && (uint64_t)length > config_largest_body(config))
		return error_set(e, "the body has %s bytes, allowed are %llu",
			   cgi_variables_text(&r->variables, "CONTENT_LENGTH"),
			   (unsigned long long)config_largest_body(config)),
		       413;
	return 0;
}

int request_body_begin(
    struct request *r, struct request_body *b, const struct config *config, struct error *e)
{
	*b = (struct request_body){.length = content_length(&r->variables)};
	return check_length(r, b->length, config, e);
}

int request_body_add(struct request *r, struct request_body *b, const void *data, size_t size,
    const struct config *config, struct error *e)
{
	uint64_t want = b->length >= 0 ? (uint64_t)b->length - r->body_size : size;

	b->seen += size;
	if (want < size)
		size = (size_t)want;
	return size > 0 ? body_append(r, data, size, config, e) : 0;
}

bool request_body_is_whole(const struct request *r, const struct request_body *b)
{
	return b->length >= 0 && r->body_size == (uint64_t)b->length;
}

/*
 * CONTENT_LENGTH, where the web server did not know it, or passes on what its client has sent: Tcl reads 0100
 * as 64.
 */
static int set_length(struct request *r, struct error *e)
{
	const char *told = cgi_variables_text(&r->variables, "CONTENT_LENGTH");
	bool is_plain = strcmp(told, "0") == 0 || (told[0] >= '1' && told[0] <= '9');
	char size[24];

	if (is_plain || (told[0] == '\0' && r->body_size == 0))
		return 0;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)r->body_size);
	if (cgi_variables_set(&r->variables, "CONTENT_LENGTH", size) < 0)
		return error_errno(e, "variables of the request"), 500;
	return 0;
}

int request_body_end(struct request *r, struct request_body *b, struct error *e)
{
	int status;

	if (b->length >= 0 && r->body_size < (uint64_t)b->length)
		return error_set(e, "the body has %llu bytes, CONTENT_LENGTH says %lld",
			   (unsigned long long)r->body_size, (long long)b->length),
		       400;
	status = set_length(r, e);
	return status != 0 ? status : body_rewind(r, e);
}

uint64_t request_body_due(
    const struct request *r, const struct request_body *b, const struct config *config)
{
	return r->began + (config->body_timeout + b->seen / 1024) * CLOCK_SECOND;
}

/* Take the whole STDIN stream. */
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
	if (FCGX_GetError(in) != 0)
		return error_set(e, "the body ends after %llu bytes, without its end record",
			   (unsigned long long)body.seen),
		       400;
	return request_body_end(r, &body, e);
}

int request_read(struct request *r, int connection, const struct config *config, struct error *e)
{
	FCGX_Request decoded;
	int result;

	FCGX_InitRequest(&decoded, -1, 0);
	decoded.keepConnection = 1;
	decoded.detached = 1;
	/* On failure libfcgi has closed the descriptor, so it is given one of its own. */
	decoded.ipcFd = dup(connection);
	if (decoded.ipcFd < 0)
		return error_errno(e, "connection"), -1;
	if (FCGX_Accept_r(&decoded) < 0)
		return error_set(e, "the request could not be decoded"), -1;
	r->response.request_id = (uint16_t)decoded.requestId;
	result =
	    copy_variables(r, decoded.envp, e) < 0 ? 500 : read_stream(r, decoded.in, config, e);
	FCGX_Free(&decoded, 0);
	fd_close(&decoded.ipcFd);
	return result;
}

/* `result`: a refusal that is known already. As request_read_body. */
static int read_body(struct request *r, int from, int64_t size, const struct config *config,
    int result, struct error *e)
{
	char piece[PIECE];

	while (size != 0) {
		size_t want =
		    size < 0 || size > (int64_t)sizeof(piece) ? sizeof(piece) : (size_t)size;
		ssize_t n = read(from, piece, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 && result != 0)
			return result;
		if (n < 0)
			return error_errno(e, "read the body"), 400;
		if (n == 0)
			break;
		if (result == 0)
			result = body_append(r, piece, (size_t)n, config, e);
		if (result != 0 && size < 0)
			return result;
		size -= size > 0 ? n : 0;
	}
	if (result != 0)
		return result;
	if (size > 0)
		return error_set(e, "the body is shorter than CONTENT_LENGTH says"), 400;
	return body_rewind(r, e);
}

int request_read_body(
    struct request *r, int from, int64_t size, const struct config *config, struct error *e)
{
	return read_body(r, from, size, config, 0, e);
}

int request_read_cgi(struct request *r, const struct config *config, struct error *e)
{
	int64_t length;
	int result;

	if (copy_variables(r, environ, e) < 0)
		return 500;
	length = content_length(&r->variables);
	if (length == LENGTH_UNKNOWN)
		length = 0;
	result = check_length(r, length, config, e);
	if (result != 400)
		result = read_body(r, STDIN_FILENO, length, config, result, e);
	return result != 0 ? result : set_length(r, e);
}

/* A full disk will be emptied, so the client may try again. */
static int no_place(const struct config *config, struct error *e)
{
	bool full = errno == ENOSPC || errno == EDQUOT;

	error_errno(e, "file for the body in %s", config->tmpdir);
	return full ? 503 : 500;
}

/* In memory (a file of the kernel's) while it is small, since it is passed as a descriptor. */
static int body_append(
    struct request *r, const void *data, size_t size, const struct config *config, struct error *e)
{
	bool move = r->body_size <= BODY_IN_MEMORY && r->body_size + size > BODY_IN_MEMORY;
	FD_OWNED int old = -1;

	if (r->body_size + size > config_largest_body(config))
		return error_set(e, "the body is larger than %llu bytes",
			   (unsigned long long)config_largest_body(config)),
		       413;
	if (move) {
		old = r->body;
		r->body = fd_temporary_file(config->tmpdir);
	} else if (r->body < 0) {
		r->body = fd_memory_file("exthost-body");
	}
	if (r->body < 0)
		return no_place(config, e);
	if (old >= 0 && lseek(old, 0, SEEK_SET) == 0) {
		char *copy = malloc(r->body_size);
		bool copied = copy != NULL &&
			      fd_read_all(old, copy, r->body_size) == (ssize_t)r->body_size &&
			      fd_write_all(r->body, copy, r->body_size) == 0;

		free(copy);
		if (!copied)
			return no_place(config, e);
	}
	if (fd_write_all(r->body, data, size) < 0)
		return no_place(config, e);
	r->body_size += size;
	return 0;
}

static int body_rewind(struct request *r, struct error *e)
{
	if (r->body >= 0 && lseek(r->body, 0, SEEK_SET) < 0)
		return error_errno(e, "file for the body"), 500;
	return 0;
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

	/* A header named Proxy would steer HTTP clients, some of which look for it in small letters. */
	cgi_variables_remove_any_case(v, "HTTP_PROXY");
	/* The body is decoded (RFC 9112, 7.1.3): beside this Werkzeug 2.3 believes no length. */
	cgi_variables_remove(v, "HTTP_TRANSFER_ENCODING");
	if (!r->trust_fossil)
		cgi_variables_remove_prefix(v, "FOSSIL_");
	if (cgi_variables_default(v, "GATEWAY_INTERFACE", "CGI/1.1") < 0 ||
	    cgi_variables_default(v, "SERVER_PROTOCOL", "HTTP/1.0") < 0 ||
	    cgi_variables_default(v, "REQUEST_METHOD", "GET") < 0 ||
	    cgi_variables_default(v, "SERVER_NAME", "localhost") < 0 ||
	    cgi_variables_default(v, "SERVER_SOFTWARE", "exthost") < 0 ||
	    cgi_variables_default(v, "PATH", "/usr/bin:/bin") < 0 ||
	    cgi_variables_default(v, "HOME", "/") < 0 ||
	    cgi_variables_default(v, "LANG", "C.UTF-8") < 0 || set_port(v) < 0 ||
	    (cgi_variables_get(v, "QUERY_STRING") == NULL &&
		cgi_variables_set(v, "QUERY_STRING", "") < 0))
		return error_errno(e, "variables of the request");
	return 0;
}

const char *request_path(
    const struct request *r, const char *prefix, char *path, size_t size, struct error *e)
{
	const char *script = cgi_variables_text(&r->variables, "SCRIPT_NAME");
	const char *info = cgi_variables_text(&r->variables, "PATH_INFO");
	size_t script_size = strlen(script), info_size = strlen(info);
	size_t skip = strlen(prefix);

	if (script_size + info_size >= size)
		return error_set(e, "the path is longer than %zu bytes", size - 1), NULL;
	memcpy(path, script, script_size);
	memcpy(path + script_size, info, info_size + 1);
	while (skip > 0 && prefix[skip - 1] == '/')
		skip--;
	if (strncmp(path, prefix, skip) != 0 || (path[skip] != '/' && path[skip] != '\0'))
		return error_set(e, "the path is not below the prefix %s", prefix), NULL;
	return path + skip;
}

bool request_may_see_traceback(const struct request *r)
{
	return r->trust_fossil &&
	       strpbrk(cgi_variables_text(&r->variables, "FOSSIL_CAPABILITIES"), "saD") != NULL;
}

void request_release(struct request *r)
{
	fd_close(&r->body);
	cgi_variables_release(&r->variables);
	response_release(&r->response);
}
