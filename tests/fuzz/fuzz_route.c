/*
 * Fuzz harness for routing. The bytes are a path, up to the first NUL, routed in a small root that
 * is made once. Whatever is opened must lie beneath the root, under the name that route says, and
 * must be what the path names by Fossil's rules.
 *
 * Where the kernel allows a filter on system calls, openat2 is refused for one of two descriptors
 * of the root, so that the way without it is taken too: it must find the same files, but for links.
 */
#include "replay.h"

#include "base/error.h"
#include "base/fd.h"
#include "request/route.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OLD_ROOT 200 /* the root's descriptor for which openat2 is refused */
#define PATH_MOST 4096

static struct place {
	char folder[32]; /* holds the root, and a file outside of it */
	char root_path[48];
	int root;
	int old_root; /* -1: no filter */
} place;

/* Every link, and nothing else, has "link" in its name. */
static const struct entry {
	const char *name;   /* relative path; a directory ends in a slash */
	mode_t mode;        /* of a file */
	const char *target; /* of a link */
} entries[] = {
    {.name = "root/"},
    {.name = "outside.py", .mode = 0755},
    {.name = "rootling/"},
    {.name = "rootling/x.py", .mode = 0755},
    {.name = "root/index.html", .mode = 0644},
    {.name = "root/hello.py", .mode = 0755},
    {.name = "root/data.txt", .mode = 0644},
    {.name = "root/.hidden.py", .mode = 0755},
    {.name = "root/-dash.py", .mode = 0755},
    {.name = "root/a/"},
    {.name = "root/a/b/"},
    {.name = "root/a/b/c", .mode = 0711},
    {.name = "root/a/b/index.md", .mode = 0644},
    {.name = "root/a/index.wiki", .mode = 0755},
    {.name = "root/a/.secret/"},
    {.name = "root/a/.secret/x.txt", .mode = 0644},
    {.name = "root/a/-x/"},
    {.name = "root/a/-x/y", .mode = 0755},
    {.name = "root/odd/"},
    {.name = "root/odd/index.html/"},
    {.name = "root/odd/index.html/x", .mode = 0644},
    {.name = "root/empty/"},
    {.name = "root/linked/"},
    {.name = "root/linked/index.html", .target = "../../outside.py"},
    {.name = "root/linked/index.wiki", .target = "../data.txt"},
    {.name = "root/link", .target = "a/b/c"},
    {.name = "root/a/linkup.py", .target = "../hello.py"},
    {.name = "root/linkdir", .target = "a"},
    {.name = "root/linkself", .target = "."},
    {.name = "root/linkloop", .target = "linkloop"},
    {.name = "root/linkout.py", .target = "../outside.py"},
    {.name = "root/linkparent", .target = ".."},
    {.name = "root/linkroundabout.py", .target = "../root/hello.py"},
    {.name = "root/linkabsolute", .target = "/etc/passwd"},
    {.name = "root/linketc", .target = "/etc"},
    {.name = "root/linkmagic", .target = "/proc/self/root"},
    {.name = "root/linknowhere", .target = "nowhere"},
};

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static void remove_place(void)
{
	nftw(place.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_entry(const struct entry *x)
{
	char path[128];
	int file;

	snprintf(path, sizeof(path), "%s/%s", place.folder, x->name);
	if (x->target != NULL) {
		insist(symlink(x->target, path) == 0, "no place for the root");
	} else if (x->mode == 0) {
		insist(mkdir(path, 0755) == 0, "no place for the root");
	} else {
		file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		insist(file >= 0 && fchmod(file, x->mode) == 0, "no place for the root");
		close(file);
	}
}

/* -1: not here. */
static int refuse_openat2(void)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 3),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OLD_ROOT, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {
	    .len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -1;
	return fcntl(place.root, F_DUPFD_CLOEXEC, OLD_ROOT);
}

static void make_place(void)
{
	char template[] = "/tmp/exthost-fuzz.XXXXXX";

	insist(mkdtemp(template) != NULL, "no temporary directory");
	snprintf(place.folder, sizeof(place.folder), "%s", template);
	snprintf(place.root_path, sizeof(place.root_path), "%s/root", template);
	atexit(remove_place);
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		make_entry(&entries[i]);
	place.root = open(place.root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	insist(place.root >= 0, "no root");
	place.old_root = refuse_openat2();
	if (place.old_root < 0)
		fprintf(stderr, "the way without openat2 is left out: no filter on system calls\n");
}

/* Whether a name is relative, and no element is empty or begins with a dot or a dash. */
static int is_plain(const char *name)
{
	return name[0] != '\0' && strchr("/.-", name[0]) == NULL && strstr(name, "//") == NULL &&
	       strstr(name, "/.") == NULL && strstr(name, "/-") == NULL &&
	       name[strlen(name) - 1] != '/';
}

/* Where the kernel says that the file is. */
static void check_place(const struct route *r)
{
	size_t root_size = strlen(place.root_path);
	char link[32], path[PATH_MOST];
	struct stat status;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", r->file);
	n = readlink(link, path, sizeof(path) - 1);
	insist(n > 0, "nothing is open");
	path[n] = '\0';
	insist(strncmp(path, place.root_path, root_size) == 0 && path[root_size] == '/',
	    "a file outside of the root");
	if (strstr(r->name, "link") == NULL)
		insist(strcmp(path + root_size + 1, r->name) == 0, "a file of another name");
	insist(is_plain(path + root_size + 1), "a hidden file");
	insist(fstat(r->file, &status) == 0 && status.st_dev == r->status.st_dev &&
		   status.st_ino == r->status.st_ino && status.st_mode == r->status.st_mode,
	    "the status of another file");
}

static int leads_up(const char *path)
{
	for (; (path = strchr(path, '/')) != NULL; path++) {
		size_t size = strcspn(path + 1, "/");

		if (size >= 1 && size <= 2 && strspn(path + 1, ".") >= size)
			return 1;
	}
	return 0;
}

/* A script that is there is found, whatever stands behind it. */
static void check_scripts(const struct route *r, const char *path)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		const char *name = entries[i].name + 5;
		size_t size = strlen(entries[i].name) < 6 ? 0 : strlen(name);

		if (size == 0 || (entries[i].mode & 0111) == 0 ||
		    strncmp(entries[i].name, "root/", 5) != 0 || !is_plain(name) ||
		    path[0] != '/' || strncmp(path + 1, name, size) != 0 ||
		    (path[1 + size] != '\0' && path[1 + size] != '/') || leads_up(path))
			continue;
		insist(r->kind == ROUTE_SCRIPT && strcmp(r->name, name) == 0 &&
			   strcmp(r->path_info, path + 1 + size) == 0,
		    "a script that is not found");
	}
}

static void check_route(const struct route *r, const char *path, const struct error *e)
{
	size_t name_size;

	if (r->kind == ROUTE_NOT_FOUND) {
		insist(r->file == -1, "a file is open that was not found");
		insist(e->message[0] != '\0', "not found without a reason");
		return;
	}
	insist(!leads_up(path), "an element that leads up");
	check_place(r);
	insist(S_ISREG(r->status.st_mode), "no regular file");
	insist((r->kind == ROUTE_SCRIPT) == ((r->status.st_mode & 0111) != 0),
	    "the mode says otherwise");
	insist(r->kind == ROUTE_SCRIPT || r->path_info[0] == '\0', "static content with PATH_INFO");
	insist(is_plain(r->name), "a name that must not be asked for");
	insist(strncmp(path, "/", 1) == 0, "a path without a slash");
	name_size = strlen(r->name);
	if (path[strlen(path) - 1] == '/' && r->path_info[0] == '\0') {
		insist(strncmp(r->name, path + 1, strlen(path + 1)) == 0 &&
			   strncmp(r->name + strlen(path + 1), "index.", 6) == 0,
		    "another index than the path's");
		return;
	}
	insist(strncmp(path + 1, r->name, name_size) == 0 &&
		   strcmp(path + 1 + name_size, r->path_info) == 0,
	    "name and PATH_INFO do not make up the path");
	insist(r->path_info[0] == '\0' || r->path_info[0] == '/', "a name that is cut");
}

static int is_same(const struct route *a, const struct route *b)
{
	return a->kind == b->kind &&
	       (a->kind == ROUTE_NOT_FOUND ||
		   (a->status.st_ino == b->status.st_ino && strcmp(a->name, b->name) == 0 &&
		       strcmp(a->path_info, b->path_info) == 0));
}

/* The same path without openat2. */
static void route_old(const struct route *found, const char *path)
{
	struct route r;
	struct error e = {""};

	if (place.old_root < 0)
		return;
	route_find(&r, place.old_root, path, &e);
	check_route(&r, path, &e);
	if (strstr(path, "link") == NULL)
		insist(is_same(&r, found), "without openat2 another file");
	else
		insist(
		    r.kind == ROUTE_NOT_FOUND || is_same(&r, found), "without openat2 a file more");
	route_release(&r);
}

/* The same path, named by the relay; and the bytes as they are, for the relay's script. */
static void route_script(const struct route *found, const char *path)
{
	char script[PATH_MOST + sizeof(place.root_path)];
	struct route r;
	struct error e = {""};

	snprintf(script, sizeof(script), "%s%s", place.root_path, path);
	route_find_script(&r, place.root, place.root_path, script, &e);
	check_route(&r, path, &e);
	if (found->kind != ROUTE_NOT_FOUND && found->path_info[0] == '\0')
		insist(is_same(&r, found), "the relay's script is another file");
	else
		insist(r.kind == ROUTE_NOT_FOUND, "the relay's script is a file more");
	route_release(&r);
	route_find_script(&r, place.root, place.root_path, path, &e);
	insist(r.kind == ROUTE_NOT_FOUND || strncmp(path, place.folder, strlen(place.folder)) == 0,
	    "a script outside of the root");
	route_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char path[PATH_MOST];
	struct error e = {""};
	struct route r;
	int lowest;

	if (place.folder[0] == '\0')
		make_place();
	snprintf(path, sizeof(path), "%.*s", (int)(size < sizeof(path) ? size : sizeof(path)),
	    (const char *)bytes);
	lowest = dup(place.root);
	close(lowest);
	route_find(&r, place.root, path, &e);
	check_route(&r, path, &e);
	check_scripts(&r, path);
	route_old(&r, path);
	route_script(&r, path);
	insist(route_media_type(path)[0] != '\0', "no media type");
	route_release(&r);
	insist(dup(place.root) == lowest, "a descriptor is left open");
	close(lowest);
	return 0;
}
