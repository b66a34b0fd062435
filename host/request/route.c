/*
 * A path is first checked as text, then opened once, beneath the root, by openat2 with
 * RESOLVE_BENEATH: no link and no ".." leads out, and the file cannot be exchanged between the
 * check and its use. Where openat2 is refused (old container profiles), each element is opened in
 * turn and links are not followed.
 *
 * Nearly always the whole path names the file, and one call opens it. Else the path is searched
 * from its beginning, and the first element that is no directory is the file. So the number of
 * calls depends on the file's depth, and not on the length of PATH_INFO.
 */
#include "request/route.h"

#include "base/error.h"
#include "base/fd.h"

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

#define TRIES_MOST 1000
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static size_t nameable(const char *path, struct error *e);
static int open_longest(struct route *r, int root, const char *path, struct error *e);
static int open_index(struct route *r, int root, struct error *e);
static int open_first_file(struct route *r, int root);
static int open_beneath(int root, const char *name, int flags);
static int judge(struct route *r, const char *path, struct error *e);

void route_find(struct route *r, int root, const char *path, struct error *e)
{
	*r = (struct route){.file = -1};
	if (route_check_path(path, e) < 0 || open_longest(r, root, path, e) < 0 ||
	    judge(r, path, e) < 0)
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
	if (route_check_path(path, e) < 0 || open_longest(r, root, path, e) < 0 ||
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

int route_check_path(const char *path, struct error *e)
{
	for (const char *at = strchr(path, '/'); at != NULL; at = strchr(at + 1, '/')) {
		size_t size = strcspn(at + 1, "/");

		if ((size == 1 && at[1] == '.') || (size == 2 && at[1] == '.' && at[2] == '.'))
			return error_set(e, "a path element is . or ..");
	}
	return 0;
}

/* Whether this element (size bytes) can be one of a file's name; else -1 with *e. */
static int check_element(const char *element, size_t size, struct error *e)
{
	if (size == 0)
		return error_set(e, "a path element is empty");
	if (element[0] == '.' || element[0] == '-')
		return error_set(e, "a path element begins with %c", element[0]);
	for (size_t i = 0; i < size; i++)
		if (!is_allowed((unsigned char)element[i]))
			return error_set(e, "the path has a character other than "
					    "A-Z a-z 0-9 _ - . / in the name of a file");
	return 0;
}

/*
 * How many bytes of the path can name a file. If not all, *e says what is wrong with the rest,
 * which begins with a slash.
 */
static size_t nameable(const char *path, struct error *e)
{
	size_t at = 0;

	while (path[at] == '/' && path[at + 1] != '\0') {
		size_t size = strcspn(path + at + 1, "/");

		if (check_element(path + at + 1, size, e) < 0)
			return at;
		at += 1 + size;
	}
	return strlen(path);
}

bool route_names_file(const char *path)
{
	struct error e;

	return path[0] == '/' && nameable(path, &e) == strlen(path);
}

static int open_longest(struct route *r, int root, const char *path, struct error *e)
{
	size_t size = nameable(path, e);

	if (path[0] != '/')
		return error_set(e, "the path does not begin with /");
	r->name = strndup(path + 1, size > 0 ? size - 1 : 0);
	if (r->name == NULL)
		return error_errno(e, "route");
	r->file = open_beneath(root, r->name[0] != '\0' ? r->name : ".", OPEN_FLAGS);
	if (r->file < 0 && (errno == ENOTDIR || errno == ENAMETOOLONG))
		r->file = open_first_file(r, root);
	if (r->file < 0)
		return error_errno(e, "open %s", r->name);
	if (fstat(r->file, &r->status) < 0)
		return error_errno(e, "stat %s", r->name);
	if (!S_ISDIR(r->status.st_mode))
		return 0;
	if (path[size] != '\0')
		return -1; /* as nameable said */
	if (path[size - 1] != '/')
		return error_set(e, "%s is a folder", r->name);
	return open_index(r, root, e);
}

static bool is_folder(int root, const char *name)
{
	struct stat status;
	FD_OWNED int fd = open_beneath(root, name, O_PATH | O_CLOEXEC);

	return fd >= 0 && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Cut the name behind its first element that is no directory. The file, or -1 with errno. */
static int open_first_file(struct route *r, int root)
{
	for (char *slash = strchr(r->name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!is_folder(root, r->name))
			break;
		*slash = '/';
	}
	return open_beneath(root, r->name, OPEN_FLAGS);
}

static int open_index(struct route *r, int root, struct error *e)
{
	static const char *const names[] = {"index.html", "index.wiki", "index.md"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *name;
		int file;

		if (asprintf(&name, "%s%s", r->name, names[i]) < 0)
			return error_errno(e, "route");
		file = open_beneath(root, name, OPEN_FLAGS);
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
	return error_set(e, "the directory %s has no index.html, index.wiki or index.md",
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

static int open_by_elements(int root, const char *name, int flags)
{
	char *copy = strdup(name);
	char *rest = copy;
	int at = dup(root);

	while (copy != NULL && at >= 0 && rest != NULL) {
		const char *element = strsep(&rest, "/");
		int next = openat(at, element[0] != '\0' ? element : ".", flags | O_NOFOLLOW);

		fd_close(&at);
		at = next;
	}
	free(copy);
	return at;
}

static int open_beneath(int root, const char *name, int flags)
{
	struct open_how how = {
	    .flags = (unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int fd, tries = 0;

	/*
	 * A link with ".." in it is refused with EAGAIN while anything is renamed anywhere:
	 * openat2(2).
	 */
	do
		fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && ++tries < TRIES_MOST);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open_by_elements(root, name, flags);
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
