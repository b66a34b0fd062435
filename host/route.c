/*
 * A path is first checked as text, then opened once, beneath the root, by openat2 with
 * RESOLVE_BENEATH: no link and no ".." leads out, and nobody can exchange the file between the
 * check and its use. Where openat2 is refused (old container profiles), each element is opened in
 * turn and links are not followed.
 */
#include "route.h"

#include "error.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int check_path(const char *path, struct error *e);
static int open_longest(struct route *r, int root, const char *path, struct error *e);
static int open_index(struct route *r, int root, struct error *e);
static int open_beneath(int root, const char *name);
static int judge(struct route *r, const char *path, struct error *e);

void route_find(struct route *r, int root, const char *path, struct error *e)
{
	*r = (struct route){.file = -1};
	if (check_path(path, e) < 0 || open_longest(r, root, path, e) < 0 || judge(r, path, e) < 0)
		fd_close(&r->file);
}

void route_find_script(
    struct route *r, int root, const char *root_path, const char *script, struct error *e)
{
	size_t size = strlen(root_path);
	const char *path;

	*r = (struct route){.file = -1};
	/* Of the root "/" everything lies beneath. */
	if (size > 0 && root_path[size - 1] == '/')
		size--;
	if (strncmp(script, root_path, size) != 0 || script[size] != '/') {
		error_set(e, "%s is not beneath the extension root %s", script, root_path);
		return;
	}
	path = script + size;
	if (check_path(path, e) < 0 || open_longest(r, root, path, e) < 0 ||
	    judge(r, path, e) < 0) {
		fd_close(&r->file);
	} else if (r->kind == ROUTE_SCRIPT && r->path_info[0] != '\0') {
		fd_close(&r->file);
		r->kind = ROUTE_NOT_FOUND;
		error_set(e, "%s is not a file", script);
	}
}

static bool is_allowed(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '_' || c == '-' || c == '.' || c == '/';
}

static int check_path(const char *path, struct error *e)
{
	if (path[0] != '/')
		return error_set(e, "the path does not begin with /");
	for (const char *at = path; *at != '\0'; at++) {
		if (!is_allowed((unsigned char)*at))
			return error_set(
			    e, "the path has a character other than A-Z a-z 0-9 _ - . /");
		if (*at == '/' && (at[1] == '.' || at[1] == '-'))
			return error_set(e, "a path element begins with %c", at[1]);
		if (*at == '/' && at[1] == '/')
			return error_set(e, "a path element is empty");
	}
	return 0;
}

/* Shorten the name until it is a file: only ENOTDIR says that a leading part is one. */
static int open_longest(struct route *r, int root, const char *path, struct error *e)
{
	r->name = strdup(path + 1);
	if (r->name == NULL)
		return error_errno(e, "route");
	for (;;) {
		char *slash;

		r->file = open_beneath(root, r->name[0] != '\0' ? r->name : ".");
		if (r->file >= 0)
			break;
		slash = strrchr(r->name, '/');
		if (errno != ENOTDIR || slash == NULL)
			return error_errno(e, "open %s", r->name);
		*slash = '\0';
	}
	if (fstat(r->file, &r->status) < 0)
		return error_errno(e, "stat %s", r->name);
	if (!S_ISDIR(r->status.st_mode))
		return 0;
	if (path[strlen(path) - 1] != '/')
		return error_set(e, "%s is a folder", r->name);
	return open_index(r, root, e);
}

static int open_index(struct route *r, int root, struct error *e)
{
	static const char *const names[] = {"index.html", "index.wiki", "index.md"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *name;
		int file;

		if (asprintf(&name, "%s%s", r->name, names[i]) < 0)
			return error_errno(e, "route");
		file = open_beneath(root, name);
		if (file >= 0 && fstat(file, &r->status) == 0 && S_ISREG(r->status.st_mode)) {
			fd_close(&r->file);
			r->file = file;
			free(r->name);
			r->name = name;
			return 0;
		}
		fd_close(&file);
		free(name);
	}
	return error_set(e, "the folder %s has no index.html, index.wiki or index.md",
	    r->name[0] != '\0' ? r->name : "/");
}

/* What the file found is, and what is left of the path. */
static int judge(struct route *r, const char *path, struct error *e)
{
	size_t used = strlen(r->name) + 1;

	r->path_info = strdup(strlen(path) > used ? path + used : "");
	if (r->path_info == NULL)
		return error_errno(e, "route");
	if (!S_ISREG(r->status.st_mode))
		return error_set(e, "%s is not a regular file", r->name);
	if ((r->status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0) {
		r->kind = ROUTE_SCRIPT;
	} else {
		if (r->path_info[0] != '\0')
			return error_set(
			    e, "%s is static content, and the path goes on behind it", r->name);
		r->kind = ROUTE_STATIC;
	}
	return 0;
}

static int open_by_elements(int root, const char *name)
{
	char *copy = strdup(name);
	char *rest = copy;
	int at = dup(root);

	while (copy != NULL && at >= 0 && rest != NULL) {
		const char *element = strsep(&rest, "/");
		int next = openat(at, element[0] != '\0' ? element : ".", OPEN_FLAGS | O_NOFOLLOW);

		fd_close(&at);
		at = next;
	}
	free(copy);
	return at;
}

static int open_beneath(int root, const char *name)
{
	struct open_how how = {
	    .flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open_by_elements(root, name);
	return fd;
}

const char *route_media_type(const char *name)
{
	static const struct {
		const char *suffix, *type;
	} types[] = {
	    {".html", "text/html; charset=utf-8"},
	    {".htm", "text/html; charset=utf-8"},
	    {".css", "text/css; charset=utf-8"},
	    {".js", "text/javascript; charset=utf-8"},
	    {".mjs", "text/javascript; charset=utf-8"},
	    {".json", "application/json"},
	    {".txt", "text/plain; charset=utf-8"},
	    {".md", "text/x-markdown; charset=utf-8"},
	    {".wiki", "text/x-fossil-wiki; charset=utf-8"},
	    {".xml", "application/xml"},
	    {".svg", "image/svg+xml"},
	    {".png", "image/png"},
	    {".jpg", "image/jpeg"},
	    {".jpeg", "image/jpeg"},
	    {".gif", "image/gif"},
	    {".webp", "image/webp"},
	    {".ico", "image/vnd.microsoft.icon"},
	    {".pdf", "application/pdf"},
	    {".woff2", "font/woff2"},
	    {".wasm", "application/wasm"},
	    {".csv", "text/csv; charset=utf-8"},
	    {".zip", "application/zip"},
	    {".gz", "application/gzip"},
	};
	const char *suffix = strrchr(name, '.');

	for (size_t i = 0; suffix != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(suffix, types[i].suffix) == 0)
			return types[i].type;
	return "application/octet-stream";
}

void route_release(struct route *r)
{
	fd_close(&r->file);
	free(r->name);
	free(r->path_info);
	*r = (struct route){.file = -1};
}
