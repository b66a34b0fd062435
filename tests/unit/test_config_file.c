/* The configuration file's odder shapes; what its keys mean is told in test_config.c. */
#include "unit.h"

#include "config_read.h"
#include "error.h"
#include "fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reading {
	char *folder;
	struct config config;
	struct limits limits; /* of the extension that was asked for last */
	struct error e;
};

static int read_text(struct reading *r, const char *text)
{
	char option[512];
	char *argv[] = {option};
	int operands;

	r->folder = unit_folder_make();
	unit_file_write(r->folder, "conf", text, 0644);
	snprintf(option, sizeof(option), "--config=%s/conf", r->folder);
	return config_read(&r->config, CONFIG_SERVE, 1, argv, 0, &operands, &r->e);
}

static void accept(struct reading *r, const char *text)
{
	if (read_text(r, text) < 0)
		fail_msg("%s", r->e.message);
}

static const struct limits *limits_of(struct reading *r, const char *name)
{
	config_limits(&r->config, name, &r->limits);
	return &r->limits;
}

static void done(struct reading *r)
{
	config_release(&r->config);
	unit_folder_remove(r->folder);
}

static void assert_refused(const char *text, const char *message)
{
	struct reading r;

	assert_int_equal(read_text(&r, text), -1);
	assert_string_equal(r.e.message + strlen(r.folder) + 1, message);
	done(&r);
}

static void blanks_around_names_values_and_sections_do_not_count(void **state)
{
	struct reading r;

	(void)state;
	accept(&r, "timeout\t=\t7 \t\n  \t\nlane=3\n"
		   "[ \textension\t \ta.py\t ]\ntimeout   =9\n"
		   "[extension b.py]  \t\ntimeout = 11\n");
	assert_int_equal(limits_of(&r, "c.py")->timeout, 7);
	assert_int_equal(limits_of(&r, "c.py")->lane, 3);
	assert_int_equal(limits_of(&r, "a.py")->timeout, 9);
	assert_int_equal(limits_of(&r, "b.py")->timeout, 11);
	done(&r);
}

static void lines_may_end_as_on_windows_and_the_last_one_not_at_all(void **state)
{
	struct reading r;

	(void)state;
	accept(
	    &r, "timeout = 7\r\n[extension a.py]\r\ntimeout = 9\r\n[extension b.py]\r\nlane = 4");
	assert_int_equal(limits_of(&r, "c.py")->timeout, 7);
	assert_int_equal(limits_of(&r, "a.py")->timeout, 9);
	assert_int_equal(limits_of(&r, "b.py")->lane, 4);
	done(&r);
}

static void of_sections_that_match_the_last_that_sets_a_key_wins(void **state)
{
	struct reading r;

	(void)state;
	accept(&r, "lane = 2\n[extension a*]\ntimeout = 5\nlane = 3\ncpu = 4\n"
		   "[extension *.py]\ntimeout = 6\n[extension a*]\nlane = 7\n");
	assert_int_equal(limits_of(&r, "a.py")->timeout, 6);
	assert_int_equal(limits_of(&r, "a.py")->lane, 7);
	assert_int_equal(limits_of(&r, "a.py")->cpu, 4);
	assert_int_equal(limits_of(&r, "a.tcl")->timeout, 5);
	assert_int_equal(limits_of(&r, "b.py")->lane, 2);
	done(&r);
}

static void a_key_stands_once_in_a_section_unless_it_is_a_list(void **state)
{
	struct reading r;

	(void)state;
	assert_refused("prefix = /a\n\troot = /usr\n",
	    "conf:2: prefix has a value already, and cannot have 'root = /usr' too");
	assert_refused("[extension x]\nlane = 1\nlane = 2\n",
	    "conf:3: lane has a value already, and cannot have '2' too");
	accept(&r, "timeout = 5\nallow-uid = 1\n  2\n[extension x]\ntimeout = 6\n"
		   "[extension x]\ntimeout = 7\n");
	assert_int_equal(r.config.allow_uid.count, 2);
	assert_int_equal(limits_of(&r, "y")->timeout, 5);
	assert_int_equal(limits_of(&r, "x")->timeout, 7);
	done(&r);
}

static void a_key_above_the_sections_cannot_be_set_below_one(void **state)
{
	(void)state;
	assert_refused("[extension x]\ntimeout = 1\nroot = /usr\n",
	    "conf:3: root cannot be set for some extensions only");
}

static void unlimited_takes_a_limit_away_again(void **state)
{
	struct reading r;

	(void)state;
	accept(&r, "memory = 2m\nprocesses = 0\n[extension x]\nmemory = unlimited\n");
	assert_true(limits_of(&r, "x")->memory == UINT64_MAX);
	assert_int_equal(limits_of(&r, "x")->processes, 0);
	assert_int_equal(limits_of(&r, "y")->memory, 2 << 20);
	done(&r);
	assert_refused(
	    "[extension x]\ntimeout = unlimited\n", "conf:2: timeout: 'unlimited' is not a number");
}

static void a_pattern_is_as_long_as_a_line_may_be(void **state)
{
	struct reading r;
	char name[180], text[256];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), "[extension %s]\ntimeout = 3\n", name);
	accept(&r, text);
	assert_int_equal(limits_of(&r, name)->timeout, 3);
	assert_int_equal(limits_of(&r, "xxx")->timeout, 30);
	done(&r);
}

static void a_section_without_an_end_is_none(void **state)
{
	(void)state;
	assert_refused("[extension x\ntimeout = 3\n",
	    "conf:1: unknown section [extension x, allowed are "
	    "[extension PATTERN], [app NAME] and [service NAME]");
	assert_refused("[extensions x]\n", "conf:1: unknown section [extensions x], allowed are "
					   "[extension PATTERN], [app NAME] and [service NAME]");
	assert_refused("[extension]\n", "conf:1: unknown section [extension], allowed are "
					"[extension PATTERN], [app NAME] and [service NAME]");
}

static void an_empty_file_sets_nothing(void **state)
{
	struct reading r;

	(void)state;
	accept(&r, "");
	assert_int_equal(limits_of(&r, "x")->timeout, 30);
	done(&r);
}

/* As a reload does, in two processes: from bytes that are no longer the file's. */
static void a_file_is_read_from_a_descriptor_any_number_of_times(void **state)
{
	static const char text[] = "timeout = 5\n";
	int bytes = fd_memory_file("configuration");
	struct reading r;
	char option[512];
	char *argv[] = {option};

	(void)state;
	accept(&r, "timeout = 6\n");
	snprintf(option, sizeof(option), "--config=%s/conf", r.folder);
	assert_int_equal(fd_write_all(bytes, text, strlen(text)), 0);
	for (int i = 0; i < 2; i++) {
		config_release(&r.config);
		assert_int_equal(
		    config_read_again(&r.config, CONFIG_SERVE, 1, argv, bytes, NULL, &r.e), 0);
		assert_int_equal(r.config.limits.timeout, 5);
	}
	close(bytes);
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blanks_around_names_values_and_sections_do_not_count),
	    cmocka_unit_test(lines_may_end_as_on_windows_and_the_last_one_not_at_all),
	    cmocka_unit_test(of_sections_that_match_the_last_that_sets_a_key_wins),
	    cmocka_unit_test(a_key_stands_once_in_a_section_unless_it_is_a_list),
	    cmocka_unit_test(a_key_above_the_sections_cannot_be_set_below_one),
	    cmocka_unit_test(unlimited_takes_a_limit_away_again),
	    cmocka_unit_test(a_pattern_is_as_long_as_a_line_may_be),
	    cmocka_unit_test(a_section_without_an_end_is_none),
	    cmocka_unit_test(an_empty_file_sets_nothing),
	    cmocka_unit_test(a_file_is_read_from_a_descriptor_any_number_of_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
