/* Lists of "NAME=VALUE" in which each name is once. */
#include "config/environment.h"

#include "base/error.h"
#include "base/fd.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* RFC 3875, 4.1, and what web servers and the host itself set beside. */
static const char *const requests_own[] = {"AUTH_TYPE", "CONTENT_LENGTH", "CONTENT_TYPE",
    "DOCUMENT_ROOT", "DOCUMENT_URI", "GATEWAY_INTERFACE", "HTTPS", "PATH_INFO", "PATH_TRANSLATED",
    "QUERY_STRING", "REMOTE_ADDR", "REMOTE_HOST", "REMOTE_IDENT", "REMOTE_PORT", "REMOTE_USER",
    "REQUEST_METHOD", "REQUEST_SCHEME", "REQUEST_URI", "SCRIPT_DIRECTORY", "SCRIPT_FILENAME",
    "SCRIPT_NAME", "SERVER_ADDR", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL",
    "SERVER_SOFTWARE"};

static bool is_name(const char *name, size_t size)
{
	bool good = size > 0 && size <= ENVIRONMENT_NAME_MAX && !isdigit((unsigned char)name[0]);

	for (size_t i = 0; good && i < size; i++)
		good = isalnum((unsigned char)name[i]) || name[i] == '_';
	return good;
}

static int check_name(const char *name, size_t size, struct error *e)
{
	const int shown = (int)(size < 80 ? size : 80);

	if (!is_name(name, size))
		return error_set(e,
		    "'%.*s' is not a name: that has letters, digits and _, and does not begin with "
		    "a digit",
		    shown, name);
	if (strncmp(name, "FOSSIL_", 7) == 0)
		return error_set(
		    e, "'%.*s': names that begin with FOSSIL_ are Fossil's", shown, name);
	if (strncmp(name, "HTTP_", 5) == 0)
		return error_set(
		    e, "'%.*s': names that begin with HTTP_ are the request's", shown, name);
	for (size_t i = 0; i < sizeof(requests_own) / sizeof(requests_own[0]); i++)
		if (strlen(requests_own[i]) == size && memcmp(requests_own[i], name, size) == 0)
			return error_set(
			    e, "'%s' is a variable of the request (CGI)", requests_own[i]);
	return 0;
}

int environment_check_name(const char *name, struct error *e)
{
	return check_name(name, strlen(name), e);
}

int environment_check_variable(const char *text, struct error *e)
{
	size_t size = strcspn(text, "=");

	if (text[size] == '\0')
		return error_set(e, "'%.80s' is not NAME=VALUE", text);
	return check_name(text, size, e);
}

/* The index of the variable with this one's name, or list->count. */
static size_t find(const struct config_list *list, const char *variable)
{
	size_t size = strcspn(variable, "=") + 1, i = 0;

	while (i < list->count && strncmp(list->items[i], variable, size) != 0)
		i++;
	return i;
}

/* Put "NAME=VALUE" in the place of one of that name. 0, or -1 with *e: no memory. */
static int set(struct config_list *list, const char *variable, struct error *e)
{
	size_t i = find(list, variable);
	char *copy;

	if (i == list->count)
		return config_list_append(list, variable) < 0 ? error_set(e, "out of memory") : 0;
	copy = strdup(variable);
	if (copy == NULL)
		return error_set(e, "out of memory");
	free(list->items[i]);
	list->items[i] = copy;
	return 0;
}

int environment_merge(struct config_list *to, const struct config_list *from)
{
	for (size_t i = 0; i < from->count; i++)
		if (find(to, from->items[i]) == to->count &&
		    config_list_append(to, from->items[i]) < 0)
			return -1;
	return 0;
}

/* Take the quotes off a value, in place. 0, or -1 with *e. */
static int take_quotes(char *value, struct error *e)
{
	const char quote = value[0];
	const char *from = value + 1;
	char *to = value;

	if (quote != '\'' && quote != '"')
		return 0;
	for (; *from != quote; *to++ = *from++) {
		if (quote == '"' && from[0] == '\\' && from[1] != '\0' &&
		    strchr("\"\\$`", from[1]) != NULL)
			from++;
		if (*from == '\0')
			return error_set(e, "a quote is not closed");
	}
	*to = '\0';
	return from[1] == '\0' ? 0 : error_set(e, "there is text after the closing quote");
}

/* A line without its end. 0, or -1 with *e, which shows no text that may be of a secret value. */
static int take_line(struct config_list *variables, char *line, struct error *e)
{
	size_t size;

	line += strspn(line, " \t");
	size = strlen(line);
	while (size > 0 && strchr(" \t\r", line[size - 1]) != NULL)
		line[--size] = '\0';
	if (size == 0 || line[0] == '#' || line[0] == ';')
		return 0;
	size = strcspn(line, "=");
	if (line[size] == '\0' || !is_name(line, size))
		return error_set(e, "neither NAME=VALUE nor a comment");
	if (check_name(line, size, e) < 0 || take_quotes(line + size + 1, e) < 0)
		return -1;
	return set(variables, line, e);
}

/* The text of the file, which the caller frees, or NULL with *e. */
static char *read_text(const char *path, struct error *e)
{
	FD_OWNED int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char *text = malloc(ENVIRONMENT_FILE_MAX + 2);
	struct stat status;
	ssize_t size = -1;

	if (text == NULL)
		error_set(e, "out of memory");
	else if (path[0] == '\0')
		error_set(e, "the path is empty");
	else if (file < 0 || fstat(file, &status) < 0)
		error_errno(e, "%s", path);
	else if (!S_ISREG(status.st_mode))
		error_set(e, "%s: not a file", path);
	else if ((size = fd_read_all(file, text, ENVIRONMENT_FILE_MAX + 1)) < 0)
		error_errno(e, "%s", path);
	else if (size > ENVIRONMENT_FILE_MAX)
		size = error_set(e, "%s: longer than %d bytes", path, ENVIRONMENT_FILE_MAX);
	else if (memchr(text, '\0', (size_t)size) != NULL)
		size = error_set(e, "%s: there is a NUL in it", path);
	if (size >= 0) {
		text[size] = '\0';
		return text;
	}
	free(text);
	return NULL;
}

int environment_read_file(struct config_list *variables, const char *path, struct error *e)
{
	char *text = read_text(path, e), *rest = text, *line;
	int result = text != NULL ? 0 : -1;

	if (text != NULL && strncmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
		rest += 3;
	for (int number = 1; result == 0 && (line = strsep(&rest, "\n")) != NULL; number++)
		if (take_line(variables, line, e) < 0)
			result = error_prefix(e, "%s:%d", path, number);
	free(text);
	return result;
}

/* What the host's environment does not have is left out. */
static int pass(struct config_list *variables, const char *name, struct error *e)
{
	const char *value = getenv(name);
	char *variable = NULL;
	int result;

	if (environment_check_name(name, e) < 0)
		return -1;
	if (value == NULL)
		return 0;
	result = asprintf(&variable, "%s=%s", name, value) < 0 ? error_set(e, "out of memory")
							       : set(variables, variable, e);
	free(variable);
	return result;
}

int environment_read(struct config_environment *environment, struct error *e)
{
	struct config_list *variables = &environment->variables;

	config_list_release(variables);
	for (size_t i = 0; i < environment->env_file.count; i++)
		if (environment_read_file(variables, environment->env_file.items[i], e) < 0)
			return error_prefix(e, "option --env-file");
	for (size_t i = 0; i < environment->env_pass.count; i++)
		if (pass(variables, environment->env_pass.items[i], e) < 0)
			return error_prefix(e, "option --env-pass");
	for (size_t i = 0; i < environment->env.count; i++)
		if (environment_check_variable(environment->env.items[i], e) < 0 ||
		    set(variables, environment->env.items[i], e) < 0)
			return error_prefix(e, "option --env");
	return 0;
}

int environment_read_all(struct config *config, struct error *e)
{
	if (environment_read(&config->environment, e) < 0)
		return -1;
	for (size_t i = 0; i < config->section_count; i++)
		if (environment_read(&config->sections[i].environment, e) < 0)
			return error_prefix(e, "extension %s", config->sections[i].pattern);
	for (size_t i = 0; i < config->app_count; i++)
		if (environment_read(&config->apps[i].own.environment, e) < 0)
			return error_prefix(e, "app %s", config->apps[i].name);
	for (size_t i = 0; i < config->service_count; i++) {
		struct config_environment *own = &config->services[i].environment;

		if (environment_read(own, e) < 0)
			return error_prefix(e, "service %s", config->services[i].name);
		if (environment_merge(&own->variables, &config->environment.variables) < 0)
			return error_set(e, "out of memory");
	}
	return 0;
}

int environment_find(const struct config *config, const char *path,
    const struct config_section *own, struct config_list *to)
{
	int result = own != NULL ? environment_merge(to, &own->environment.variables) : 0;

	for (size_t i = config->section_count; result == 0 && i-- > 0;) {
		const struct config_section *section = &config->sections[i];

		if (section->environment.variables.count > 0 &&
		    fnmatch(section->pattern, path, FNM_PERIOD) == 0)
			result = environment_merge(to, &section->environment.variables);
	}
	return result == 0 ? environment_merge(to, &config->environment.variables) : result;
}

void environment_release(struct config_environment *environment)
{
	config_list_release(&environment->env);
	config_list_release(&environment->env_file);
	config_list_release(&environment->env_pass);
	config_list_release(&environment->variables);
}
