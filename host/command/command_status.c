/*
 * exthost status: ask the running host at its control socket. Its answer, in JSON, is printed as a
 * table or as it is, or (--check) turned into an exit status.
 */
#include "command/command.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/fd.h"
#include "command/command_fail.h"
#include "command/command_status_table.h"
#include "config/config_read.h"
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/exthost.conf"
#define WATCH_INTERVAL_MS 2000
#define ANSWER_TIMEOUT_S 10

/* Connect by way of the directory, since the path may be longer than the address of a socket. */
static int connect_to(const char *path, struct error *e)
{
	const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *slash = strrchr(path, '/');
	char *parent = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup("./");
	FD_OWNED int directory =
	    parent != NULL ? open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int fd = -1;

	free(parent);
	if (directory >= 0) {
		snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%.80s",
		    directory, slash != NULL ? slash + 1 : path);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		error_set(e, "no host answers at %s: %s", path, strerror(errno));
		fd_close(&fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return fd;
}

/* Ask the host. Returns its answer parsed, with the text in *raw, or NULL with *e filled. */
static json_t *ask(const char *path, const char *question, struct buffer *raw, struct error *e)
{
	FD_OWNED int fd = connect_to(path, e);
	char piece[16384];
	json_error_t why;
	json_t *answer;
	ssize_t n;

	raw->size = 0;
	if (fd < 0)
		return NULL;
	/* A host that refuses this user has closed the connection by now: send or read fails. */
	send(fd, question, strlen(question), MSG_NOSIGNAL);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buffer_append(raw, piece, (size_t)n);
	if (n < 0 && errno != ECONNRESET)
		return error_errno(e, "ask the host at %s", path), NULL;
	if (raw->size == 0)
		return error_set(e,
			   "the host at %s does not answer you (its own user and root may ask)",
			   path),
		       NULL;
	answer = json_loadb(raw->data, raw->size, 0, &why);
	if (answer == NULL)
		return error_set(e, "the answer of the host is no JSON: %s", why.text), NULL;
	return answer;
}

static const char *string_of(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value != NULL ? value : "";
}

static int show(const struct config *config, const char *path, struct error *e)
{
	struct buffer raw = {0};
	json_t *status = ask(path, "status\n", &raw, e);

	if (status != NULL && config->watch && isatty(STDOUT_FILENO))
		printf("\033[H\033[J");
	if (status != NULL && config->json)
		printf("%.*s", (int)raw.size, raw.data);
	else if (status != NULL)
		status_table_print(status);
	fflush(stdout);
	json_decref(status);
	buffer_release(&raw);
	return status != NULL ? 0 : -1;
}

static int show_stack(const struct config *config, const char *path, struct error *e)
{
	struct buffer raw = {0}, shown = {0};
	const char *stack;
	char question[128];
	json_t *answer;
	int result = 0;

	snprintf(question, sizeof(question), "stack %.100s\n", config->stack);
	answer = ask(path, question, &raw, e);
	if (answer == NULL)
		result = -1;
	else if (json_object_get(answer, "stack") == NULL)
		result = error_set(e, "request %s: %s", config->stack, string_of(answer, "error"));
	else if (config->json)
		printf("%.*s", (int)raw.size, raw.data);
	else if ((stack = status_clean(&shown, string_of(answer, "stack"))) != NULL)
		printf("%s", stack);
	json_decref(answer);
	buffer_release(&shown);
	buffer_release(&raw);
	return result;
}

static const json_t *find_template(const json_t *status, const char *language)
{
	const json_t *process;
	size_t i;

	json_array_foreach (json_object_get(status, "processes"), i, process)
		if (strcmp(string_of(process, "role"), "template") == 0 &&
		    strcmp(string_of(process, "language"), language) == 0)
			return process;
	return NULL;
}

/* 0: every template and service is healthy; -1 with *e: the first that is not. */
static int judge(json_t *status, struct error *e)
{
	const json_t *service;
	const char *language;
	json_t *spares;
	size_t i;

	json_object_foreach (json_object_get(status, "spares"), language, spares) {
		const json_t *template = find_template(status, language);

		if (template == NULL)
			return error_set(e, "template %s does not run", language);
		if (json_is_false(json_object_get(template, "answers")))
			return error_set(e, "template %s does not answer", language);
	}
	json_array_foreach (json_object_get(status, "services"), i, service)
		if (!json_is_true(json_object_get(service, "well")))
			return error_set(e, "service %s: %s", string_of(service, "name"),
			    string_of(service, "state"));
	return 0;
}

static int check(const char *path, struct error *e)
{
	struct buffer raw = {0};
	json_t *status = ask(path, "status\n", &raw, e);
	int result = status != NULL ? judge(status, e) : -1;

	json_decref(status);
	buffer_release(&raw);
	return result;
}

static int run(const struct config *config, const char *path)
{
	struct error e;
	int result = config->check           ? check(path, &e)
		     : config->stack != NULL ? show_stack(config, path, &e)
					     : show(config, path, &e);

	while (result == 0 && config->watch && !config->check) {
		poll(NULL, 0, WATCH_INTERVAL_MS);
		result = show(config, path, &e);
	}
	return result < 0 ? command_fail(1, "%s", e.message) : 0;
}

static bool says_where(const struct config *config)
{
	return config->config_file != NULL || config->root != NULL || config->control[0] != '\0';
}

/* If no option says where the host is, read DEFAULT_CONFIG, if it exists. */
static int read_config(struct config *config, struct config_source source, struct error *e)
{
	char **more;
	int operands;
	int result = config_read(config, CONFIG_STATUS, &source, 0, &operands, e);

	if (result < 0 || says_where(config) || access(DEFAULT_CONFIG, F_OK) < 0)
		return result;
	more = calloc((size_t)source.argc + 1, sizeof(*more));
	if (more == NULL)
		return error_set(e, "out of memory");
	more[0] = (char *)"--config=" DEFAULT_CONFIG;
	memcpy(more + 1, source.argv, (size_t)source.argc * sizeof(*more));
	source.argc++;
	source.argv = more;
	config_release(config);
	result = config_read(config, CONFIG_STATUS, &source, 0, &operands, e);
	free(more);
	return result;
}

int command_status(const struct binding *const *bindings, int argc, char **argv)
{
	const struct config_source source = {.argc = argc, .argv = argv, .bindings = bindings};
	struct config config;
	struct error e;
	char *path = NULL;
	int result;

	if (read_config(&config, source, &e) < 0) {
		result = command_fail(2, "%s", e.message);
	} else {
		path = listener_control_path(&config);
		result = path != NULL
			     ? run(&config, path)
			     : command_fail(2, "status needs --root DIR or --control PATH, "
					       "to find the host");
	}
	free(path);
	config_release(&config);
	return result;
}
