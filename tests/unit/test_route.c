/* From a path to a file, by Fossil's rules, in a temporary directory. */
#include "unit.h"

#include "base/error.h"
#include "request/route.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
	char *folder; /* holds the root, and a file outside of it */
	char *root_path;
	int root;
};

static void link_make(const struct place *p, const char *name, const char *target)
{
	char *path = unit_path(p->root_path, name);

	assert_int_equal(symlink(target, path), 0);
	free(path);
}

static int make_root(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char *path;

	assert_non_null(p);
	p->folder = unit_folder_make();
	p->root_path = unit_path(p->folder, "root");
	unit_file_write(p->folder, "outside.py", "outside", 0755);
	unit_file_write(p->folder, "rootling/x.py", "not beneath root", 0755);
	unit_file_write(p->folder, "root/hello.py", "hello", 0755);
	unit_file_write(p->root_path, "group.py", "group", 0654);
	unit_file_write(p->root_path, "data.txt", "data", 0644);
	unit_file_write(p->root_path, ".hidden.py", "hidden", 0755);
	unit_file_write(p->root_path, "-dash.py", "dash", 0755);
	unit_file_write(p->root_path, "a~b.py", "tilde", 0755);
	unit_file_write(p->root_path, "reports/month.py", "month", 0755);
	unit_file_write(p->root_path, "reports/.secret/x.txt", "secret", 0644);
	unit_file_write(p->root_path, "html/index.html", "html", 0644);
	unit_file_write(p->root_path, "html/index.md", "not this", 0644);
	unit_file_write(p->root_path, "wiki/index.wiki", "wiki", 0644);
	unit_file_write(p->root_path, "md/index.md", "md", 0644);
	unit_file_write(p->root_path, "none/other.html", "other", 0644);
	unit_file_write(p->root_path, "indexed/index.html/x", "a directory of that name", 0644);
	link_make(p, "inner.py", "reports/month.py");
	link_make(p, "reports/up.py", "../hello.py");
	link_make(p, "outer.py", "../outside.py");
	link_make(p, "absolute.py", "/etc/passwd");
	link_make(p, "parent", "..");
	link_make(p, "loop.py", "loop.py");
	link_make(p, "magic", "/proc/self/root");
	path = unit_path(p->root_path, "pipe");
	assert_int_equal(mkfifo(path, 0755), 0);
	free(path);
	p->root = open(p->root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->root >= 0);
	*state = p;
	return 0;
}

static int remove_root(void **state)
{
	struct place *p = *state;

	close(p->root);
	free(p->root_path);
	unit_folder_remove(p->folder);
	free(p);
	return 0;
}

static void assert_found(const struct place *p, const char *path, enum route_kind kind,
    const char *name, const char *path_info, const char *content)
{
	struct route r;
	struct error e = {""};
	char *text;

	route_find(&r, p->root, path, &e);
	if (r.kind == ROUTE_NOT_FOUND)
		fail_msg("%s: %s", path, e.message);
	assert_int_equal(r.kind, kind);
	assert_string_equal(r.name, name);
	assert_string_equal(r.path_info, path_info);
	assert_int_equal(r.status.st_size, strlen(content));
	text = unit_read(r.file);
	assert_string_equal(text, content);
	free(text);
	route_release(&r);
}

static void assert_not_found(const struct place *p, const char *path, const char *reason)
{
	struct route r;
	struct error e = {""};

	route_find(&r, p->root, path, &e);
	if (r.kind != ROUTE_NOT_FOUND)
		fail_msg("%s is found", path);
	assert_int_equal(r.file, -1);
	if (strstr(e.message, reason) == NULL)
		fail_msg("%s: '%s' does not say '%s'", path, e.message, reason);
	route_release(&r);
}

static void an_executable_file_is_a_script(void **state)
{
	assert_found(*state, "/hello.py", ROUTE_SCRIPT, "hello.py", "", "hello");
	assert_found(*state, "/group.py", ROUTE_SCRIPT, "group.py", "", "group");
	assert_found(*state, "/reports/month.py", ROUTE_SCRIPT, "reports/month.py", "", "month");
}

static void what_follows_a_script_is_path_info(void **state)
{
	assert_found(*state, "/hello.py/", ROUTE_SCRIPT, "hello.py", "/", "hello");
	assert_found(*state, "/hello.py/2026/11", ROUTE_SCRIPT, "hello.py", "/2026/11", "hello");
	assert_found(*state, "/reports/month.py/a.b/c-d/", ROUTE_SCRIPT, "reports/month.py",
	    "/a.b/c-d/", "month");
}

static void another_file_is_static_content_and_has_no_path_info(void **state)
{
	assert_found(*state, "/data.txt", ROUTE_STATIC, "data.txt", "", "data");
	assert_not_found(*state, "/data.txt/", "static");
	assert_not_found(*state, "/data.txt/more", "static");
}

static void a_folder_with_a_slash_serves_its_index(void **state)
{
	assert_found(*state, "/html/", ROUTE_STATIC, "html/index.html", "", "html");
	assert_found(*state, "/wiki/", ROUTE_STATIC, "wiki/index.wiki", "", "wiki");
	assert_found(*state, "/md/", ROUTE_STATIC, "md/index.md", "", "md");
	assert_not_found(*state, "/none/", "index.html");
	assert_not_found(*state, "/indexed/", "index.html");
	assert_not_found(*state, "/", "index.html");
	assert_not_found(*state, "/html", "is a folder");
}

static void the_root_serves_its_index_too(void **state)
{
	const struct place *p = *state;
	char *path = unit_path(p->root_path, "index.md");

	unit_file_write(p->root_path, "index.md", "top", 0644);
	assert_found(p, "/", ROUTE_STATIC, "index.md", "", "top");
	assert_int_equal(unlink(path), 0);
	free(path);
}

static void a_path_has_only_plain_characters(void **state)
{
	static const char *const paths[] = {"/a~b.py", "/hello.py?x", "/hello py", "/hello%2epy",
	    "/h\xc3\xa4llo.py", "/a\\b", "/hello.py\n", "/reports/a:b", "/reports/month.py;x/y"};

	for (size_t i = 0; i < UNIT_COUNT(paths); i++)
		assert_not_found(*state, paths[i], "A-Z");
}

static void no_element_of_a_name_begins_with_a_dot_or_a_dash_or_is_empty(void **state)
{
	assert_not_found(*state, "/.hidden.py", "begins with .");
	assert_not_found(*state, "/-dash.py", "begins with -");
	assert_not_found(*state, "/reports/.secret/x.txt", "begins with .");
	assert_not_found(*state, "/reports/-x/month.py", "begins with -");
	assert_not_found(*state, "//hello.py", "empty");
	assert_not_found(*state, "/reports//month.py", "empty");
	assert_not_found(*state, "/html//", "empty");
	assert_not_found(*state, "hello.py", "begin with /");
	assert_not_found(*state, "", "begin with /");
}

static void path_info_may_hold_anything(void **state)
{
	static const char *const infos[] = {"/.hgignore", "/-1", "/a b", "/\xe6\xb8\xac",
	    "/\xff\xfe", "/~a+b@c:d,e;f=g&h", "//", "//x", "/x//y/", "/...", "/..x/x..",
	    "/a\\..\\b", "/%2e%2e", "/\n\x01\x7f", "/.a/-b/c d"};

	for (size_t i = 0; i < UNIT_COUNT(infos); i++) {
		char path[128];

		snprintf(path, sizeof(path), "/hello.py%s", infos[i]);
		assert_found(*state, path, ROUTE_SCRIPT, "hello.py", infos[i], "hello");
		snprintf(path, sizeof(path), "/reports/month.py%s", infos[i]);
		assert_found(*state, path, ROUTE_SCRIPT, "reports/month.py", infos[i], "month");
		snprintf(path, sizeof(path), "/data.txt%s", infos[i]);
		assert_not_found(*state, path, "static");
	}
}

static void path_info_is_as_long_as_it_comes(void **state)
{
	char path[40001] = "/reports/month.py";
	size_t name = strlen(path);

	memset(path + name, 'x', sizeof(path) - 1 - name);
	path[name] = '/';
	assert_found(*state, path, ROUTE_SCRIPT, "reports/month.py", path + name, "month");
	for (size_t i = name; i + 1 < sizeof(path); i += 2)
		path[i] = '/';
	assert_found(*state, path, ROUTE_SCRIPT, "reports/month.py", path + name, "month");
}

static void an_element_that_leads_up_is_refused_wherever_it_stands(void **state)
{
	static const char *const paths[] = {"/../outside.py", "/hello.py/../data.txt",
	    "/hello.py/..", "/hello.py/a/../b", "/hello.py/./x", "/hello.py/.", "/hello.py//../x",
	    "/hello.py/a b/..", "/html/../x", "/html/./", "/./hello.py", "/..",
	    "/reports/../hello.py"};

	for (size_t i = 0; i < UNIT_COUNT(paths); i++)
		assert_not_found(*state, paths[i], "is . or ..");
}

static void a_folder_is_no_script_whatever_follows_it(void **state)
{
	assert_not_found(*state, "/reports/.x", "begins with .");
	assert_not_found(*state, "/html/a b", "A-Z");
	assert_not_found(*state, "/reports/.x/y", "begins with .");
	assert_not_found(*state, "/none/ /x", "A-Z");
	assert_not_found(*state, "/nothing/a b", "No such file");
}

static void a_folder_that_only_lets_through_leads_to_its_script(void **state)
{
	const struct place *p = *state;
	char *path = unit_path(p->root_path, "reports");

	assert_int_equal(chmod(path, 0711), 0);
	assert_found(p, "/reports/month.py", ROUTE_SCRIPT, "reports/month.py", "", "month");
	assert_found(p, "/reports/month.py/a/b", ROUTE_SCRIPT, "reports/month.py", "/a/b", "month");
	assert_int_equal(chmod(path, 0755), 0);
	free(path);
}

static void what_is_not_there_is_not_found(void **state)
{
	assert_not_found(*state, "/nothing.py", "No such file");
	assert_not_found(*state, "/reports/nothing.py/more", "No such file");
	assert_not_found(*state, "/Hello.py", "No such file");
	assert_not_found(*state, "/pipe", "not a regular file");
}

static void links_are_followed_as_long_as_they_stay(void **state)
{
	assert_found(*state, "/inner.py", ROUTE_SCRIPT, "inner.py", "", "month");
	assert_found(*state, "/inner.py/x", ROUTE_SCRIPT, "inner.py", "/x", "month");
	assert_found(*state, "/reports/up.py", ROUTE_SCRIPT, "reports/up.py", "", "hello");
	assert_not_found(*state, "/outer.py", "open outer.py");
	assert_not_found(*state, "/absolute.py", "open absolute.py");
	assert_not_found(*state, "/parent/outside.py", "open parent/outside.py");
	assert_not_found(*state, "/magic/etc/passwd", "open magic/etc/passwd");
	assert_not_found(*state, "/loop.py", "open loop.py");
}

static void a_link_is_followed_while_files_are_renamed(void **state)
{
	const struct place *p = *state;
	char *here = unit_path(p->folder, "here"), *there = unit_path(p->folder, "there");
	int missed = 0;
	pid_t renamer;

	assert_int_equal(mkdir(here, 0755), 0);
	renamer = fork();
	if (renamer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			rename(here, there);
			rename(there, here);
		}
	}
	for (int i = 0; i < 20000; i++) {
		struct route r;
		struct error e = {""};

		route_find(&r, p->root, "/reports/up.py", &e);
		missed += r.kind != ROUTE_SCRIPT;
		route_release(&r);
	}
	kill(renamer, SIGKILL);
	waitpid(renamer, NULL, 0);
	assert_int_equal(missed, 0);
	rmdir(here);
	rmdir(there);
	free(here);
	free(there);
}

static enum route_kind find_script(
    const struct place *p, const char *root_path, const char *folder, const char *name)
{
	char *script = unit_path(folder, name);
	struct route r;
	struct error e = {""};
	enum route_kind kind;

	route_find_script(&r, p->root, root_path, script, &e);
	kind = r.kind;
	if (kind == ROUTE_NOT_FOUND) {
		assert_string_not_equal(e.message, "");
		assert_int_equal(r.file, -1);
	} else {
		assert_string_equal(r.name, name);
	}
	route_release(&r);
	free(script);
	return kind;
}

static void a_script_named_by_path_must_lie_beneath_the_root(void **state)
{
	const struct place *p = *state;
	const char *root = p->root_path;

	assert_int_equal(find_script(p, root, root, "hello.py"), ROUTE_SCRIPT);
	assert_int_equal(find_script(p, root, root, "reports/month.py"), ROUTE_SCRIPT);
	assert_int_equal(find_script(p, root, root, "hello.py/more"), ROUTE_NOT_FOUND);
	assert_int_equal(find_script(p, root, root, "hello.py/.x"), ROUTE_NOT_FOUND);
	assert_int_equal(find_script(p, root, root, "hello.py/ "), ROUTE_NOT_FOUND);
	assert_int_equal(find_script(p, root, root, ".hidden.py"), ROUTE_NOT_FOUND);
	assert_int_equal(find_script(p, root, root, "outer.py"), ROUTE_NOT_FOUND);
	assert_int_equal(find_script(p, root, p->folder, "outside.py"), ROUTE_NOT_FOUND);
	assert_int_equal(find_script(p, root, p->folder, "rootling/x.py"), ROUTE_NOT_FOUND);
	assert_int_equal(find_script(p, root, p->folder, "root"), ROUTE_NOT_FOUND);
	assert_int_equal(find_script(p, root, "", "hello.py"), ROUTE_NOT_FOUND);
	assert_int_equal(find_script(p, "/", "", "hello.py"), ROUTE_SCRIPT);
}

static void a_media_type_is_told_by_the_suffix(void **state)
{
	(void)state;
	assert_string_equal(route_media_type("a.html"), "text/html; charset=utf-8");
	assert_string_equal(route_media_type("a.b/c.CSS"), "text/css; charset=utf-8");
	assert_string_equal(route_media_type("x.min.js"), "text/javascript; charset=utf-8");
	assert_string_equal(route_media_type("README.md"), "text/x-markdown; charset=utf-8");
	assert_string_equal(route_media_type("index.wiki"), "text/x-fossil-wiki; charset=utf-8");
	assert_string_equal(route_media_type("logo.PNG"), "image/png");
	assert_string_equal(route_media_type("file"), "application/octet-stream");
	assert_string_equal(route_media_type("file.unknown"), "application/octet-stream");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_executable_file_is_a_script),
	    cmocka_unit_test(what_follows_a_script_is_path_info),
	    cmocka_unit_test(another_file_is_static_content_and_has_no_path_info),
	    cmocka_unit_test(a_folder_with_a_slash_serves_its_index),
	    cmocka_unit_test(the_root_serves_its_index_too),
	    cmocka_unit_test(a_path_has_only_plain_characters),
	    cmocka_unit_test(no_element_of_a_name_begins_with_a_dot_or_a_dash_or_is_empty),
	    cmocka_unit_test(path_info_may_hold_anything),
	    cmocka_unit_test(path_info_is_as_long_as_it_comes),
	    cmocka_unit_test(an_element_that_leads_up_is_refused_wherever_it_stands),
	    cmocka_unit_test(a_folder_is_no_script_whatever_follows_it),
	    cmocka_unit_test(a_folder_that_only_lets_through_leads_to_its_script),
	    cmocka_unit_test(what_is_not_there_is_not_found),
	    cmocka_unit_test(links_are_followed_as_long_as_they_stay),
	    cmocka_unit_test(a_link_is_followed_while_files_are_renamed),
	    cmocka_unit_test(a_script_named_by_path_must_lie_beneath_the_root),
	    cmocka_unit_test(a_media_type_is_told_by_the_suffix),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
