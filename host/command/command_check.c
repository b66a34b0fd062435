/*
 * exthost check: three questions, answered without starting or running anything. Would the host
 * take this configuration? Would every script of the extension root run? Which files are there that
 * Fossil itself would send to visitors (source, databases, keys), or could not start?
 */
#include "command/command.h"

#include "base/error.h"
#include "base/fd.h"
#include "command/command_fail.h"
#include "config/config_check.h"
#include "config/config_read.h"
#include "request/route.h"
#include "request/script.h"
#include "request/static_content.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WARNINGS_MAX 20 /* warnings of a kind that are printed */

/* State of the walk. It is global, since nftw(3) passes no argument to its function. */
static struct {
	const char *root;
	int root_fd;
	struct scripts *scripts;
	int scripts_found, complaints, warnings, not_started;
	bool only_app; /* option --app: Fossil serves none of these files */
} walk;

/* Most reasons begin with the file's name themselves. */
static void complain(const char *name, const char *reason)
{
	if (strncmp(reason, name, strlen(name)) == 0)
		printf("%s\n", reason);
	else
		printf("%s: %s\n", name, reason);
	walk.complaints++;
}

/*
 * Fossil executes the file, whose shebang line names the program to start. Without such a line, or
 * without that program, Fossil sends an empty page.
 */
static void check_first_line(const char *name, int file)
{
	char line[257] = "", *program;
	ssize_t size = pread(file, line, sizeof(line) - 1, 0);

	if (walk.only_app || size < 0)
		return;
	line[size] = '\0';
	line[strcspn(line, "\n")] = '\0';
	program = line + 2 + strspn(line + 2, " \t");
	program[strcspn(program, " \t")] = '\0';
	if (strncmp(line, "#!", 2) == 0 && access(program, X_OK) == 0)
		return;
	if (walk.not_started++ >= WARNINGS_MAX)
		return;
	if (strncmp(line, "#!", 2) != 0)
		printf("%s: warning: it has no shebang line, and Fossil cannot start it\n", name);
	else if (program[strcspn(program, "\r")] != '\0')
		printf(
		    "%s: warning: its shebang line ends with CR LF, and Fossil cannot start it\n",
		    name);
	else
		printf("%s: warning: its shebang line names %s, and Fossil cannot start it: %s\n",
		    name, program, strerror(errno));
}

/* By the rules for a request. */
static void check_script(const char *name)
{
	struct route route;
	struct error e = {""};
	char path[4096];
	struct script_found found = {.code = -1};

	snprintf(path, sizeof(path), "/%s", name);
	route_find(&route, walk.root_fd, path, &e);
	if (route.kind == ROUTE_NOT_FOUND)
		complain(name, e.message);
	else if (route.kind == ROUTE_SCRIPT &&
		 scripts_find(walk.scripts, name, route.file, &route.status, &found, &e) < 0)
		complain(name, e.message);
	else if (route.kind == ROUTE_SCRIPT)
		walk.scripts_found++, check_first_line(name, route.file);
	fd_close(&found.code);
	route_release(&route);
}

/*
 * A file that Fossil would find by its name (serverext page; route.h has the rules) and send as it
 * is.
 */
static void check_static(const char *name, const char *path)
{
	struct stat status;
	FD_OWNED int file = -1;
	const char *secret = NULL;

	if (walk.only_app || stat(path, &status) < 0 || !S_ISREG(status.st_mode) ||
	    (status.st_mode & 0111) != 0 || !route_names_file(name))
		return;
	file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (file >= 0)
		secret = static_content_secret(scripts_bindings(walk.scripts), name + 1, file);
	if (secret != NULL && walk.warnings++ < WARNINGS_MAX)
		printf(
		    "%s: warning: it is not executable, and Fossil sends it to every visitor: %s\n",
		    name + 1, secret);
}

/* Names that begin with a dot are never served. */
static int visit(const char *path, const struct stat *status, int type, struct FTW *where)
{
	const char *name = path + (strcmp(walk.root, "/") == 0 ? 0 : strlen(walk.root));

	if (where->level > 0 && path[where->base] == '.')
		return type == FTW_D ? FTW_SKIP_SUBTREE : FTW_CONTINUE;
	if (type == FTW_F && (status->st_mode & 0111) != 0)
		check_script(name + strspn(name, "/"));
	else if (type == FTW_F || type == FTW_SL)
		check_static(name, path);
	return FTW_CONTINUE;
}

/* The configuration names the scripts of apps that have sockets of their own. Do they exist? */
static void check_apps(const struct config *config)
{
	for (size_t i = 0; i < config->app_count; i++) {
		const struct config_app *app = &config->apps[i];
		struct stat status;
		struct error e = {""};

		if (fstatat(walk.root_fd, app->script, &status, 0) < 0)
			error_errno(&e, "script of app %s", app->name);
		else if ((status.st_mode & 0111) == 0)
			error_set(&e, "script of app %s: not executable (chmod +x)", app->name);
		if (e.message[0] != '\0')
			complain(app->script, e.message);
	}
}

static int check_root(const struct binding *const *bindings, const struct config *config)
{
	walk.root = config->root;
	walk.only_app = config->only_app != NULL;
	walk.root_fd = open(config->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	walk.scripts = scripts_create(bindings);
	if (walk.root_fd < 0 || walk.scripts == NULL)
		return command_fail(1, "extension root %s cannot be opened", config->root);
	check_apps(config);
	if (nftw(config->root, visit, 16, FTW_PHYS | FTW_ACTIONRETVAL) != 0)
		return command_fail(1, "extension root %s cannot be read", config->root);
	if (walk.warnings > WARNINGS_MAX)
		printf("warning: and %d more such files\n", walk.warnings - WARNINGS_MAX);
	if (walk.not_started > WARNINGS_MAX)
		printf("warning: and %d more files that Fossil cannot start\n",
		    walk.not_started - WARNINGS_MAX);
	scripts_destroy(walk.scripts);
	fd_close(&walk.root_fd);
	return walk.complaints > 0 ? 1 : 0;
}

int command_check(const struct binding *const *bindings, int argc, char **argv)
{
	const struct config_source source = {.argc = argc, .argv = argv, .bindings = bindings};
	struct config config;
	struct error e;
	int result;

	if (config_check_read(&source, -1, &config, &e) < 0) {
		result = command_fail(2, "%s", e.message);
	} else {
		result = check_root(bindings, &config);
		if (result == 0)
			printf("%s%s%s: %d extensions, all would run\n",
			    config.config_file != NULL ? config.config_file : "",
			    config.config_file != NULL ? " is good; " : "", config.root,
			    walk.scripts_found);
	}
	config_release(&config);
	return result;
}
