/* The configuration file's odder shapes; test_config.c tests what its keys mean. */
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "binding.h"
#include "config/config_read.h"
#include "config/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Two languages; the host knows of their settings what stands here, and no more. */
static const struct binding_setting one_settings[] = {
    {"one-home", BINDING_DIRECTORY, "the home of One", NULL},
    {"one-path", BINDING_DIRECTORIES, "where One looks", NULL},
};
static const struct binding_setting two_settings[] = {
    {"two-path", BINDING_DIRECTORIES, "where Two looks", NULL},
};
static const struct binding one = {.name = "one", .settings = one_settings, .setting_count = 2};
static const struct binding mute = {.name = "mute"};
static const struct binding two = {.name = "two", .settings = two_settings, .setting_count = 1};
static const struct binding *const bindings[] = {&one, &mute, &two, NULL};

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
	const struct config_source source = {.argc = 1, .argv = argv, .bindings = bindings};
	int operands;

	r->folder = unit_folder_make();
	unit_file_write(r->folder, "conf", text, 0644);
	snprintf(option, sizeof(option), "--config=%s/conf", r->folder);
	return config_read(&r->config, CONFIG_SERVE, &source, 0, &operands, &r->e);
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

/* All that a section of extensions may set: whatever is added to the table is taken here, too. */
static void the_section_of_an_app_takes_every_key_of_an_extensions(void **state)
{
	static const char app[] = "[app a]\nscript = x.py\nlisten = unix:/s\n";
	struct option_table table;
	struct reading r;
	size_t tried = 0;

	(void)state;
	assert_int_equal(option_table_build(&table, bindings, &r.e), 0);
	for (size_t i = 0; i < table.count; i++) {
		const struct option *o = &table.rows[i];
		char text[512], value[64] = "/x";

		if ((o->commands & CONFIG_EXTENSION) == 0)
			continue;
		if (o->type == TYPE_NUMBER || o->type == TYPE_SIZE)
			snprintf(value, sizeof(value), "%llu", (unsigned long long)o->least + 1);
		if (o->type == TYPE_CHOICE)
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(o->argument, "|"),
			    o->argument);
		snprintf(text, sizeof(text), "%s%s = %s\n", app, o->name, value);
		accept(&r, text);
		done(&r);
		tried++;
	}
	assert_true(tried > 10);
	assert_non_null(option_find(&table, "one-home", 8, CONFIG_EXTENSION));
	assert_null(option_find(&table, "one-hom", 7, ~0));
}

/* The nth value of a language's own settings, for this extension. */
static const char *value_of(
    struct reading *r, const char *name, const struct binding *language, size_t n)
{
	struct extension_settings extension;

	config_extension_settings(&r->config, name, &extension);
	return config_language_values(&extension, language)[n];
}

static void a_languages_settings_are_keys_like_any_other(void **state)
{
	struct reading r;
	struct extension_settings extension;
	struct limits limits;

	(void)state;
	accept(&r,
	    "one-path = /a:/b\ntwo-path = /t\n[extension x.*]\none-path = /c\none-home = /h\n"
	    "[extension *.none]\none-path =\n"
	    "[app a]\nscript = x.one\nlisten = unix:/s\ntwo-path = /app\n");
	assert_string_equal(value_of(&r, "y.one", &one, 0), "");
	assert_string_equal(value_of(&r, "y.one", &one, 1), "/a:/b");
	assert_string_equal(value_of(&r, "y.one", &two, 0), "/t");
	assert_string_equal(value_of(&r, "x.one", &one, 0), "/h");
	assert_string_equal(value_of(&r, "x.one", &one, 1), "/c");
	assert_string_equal(value_of(&r, "x.none", &one, 1), "");
	config_extension_settings(&r.config, "x.one", &extension);
	config_override(&config_find_app(&r.config, "a")->own, &limits, &extension);
	assert_string_equal(config_language_values(&extension, &one)[1], "/c");
	assert_string_equal(config_language_values(&extension, &two)[0], "/app");
	done(&r);
	assert_refused("three-path = /x\n", "conf:1: unknown key 'three-path'");
	assert_refused("one-path = /a\none-path = /b\n",
	    "conf:2: one-path has a value already, and cannot have '/b' too");
	assert_refused("[service s]\none-path = /a\n", "conf:2: unknown key 'one-path'");
}

static void a_languages_values_are_found_by_its_binding_and_not_by_a_number(void **state)
{
	struct reading r;

	(void)state;
	accept(&r, "one-home = /h\none-path = /p\ntwo-path = /t\n");
	assert_string_equal(value_of(&r, "x", &two, 0), "/t");
	assert_ptr_equal(
	    config_language_values(&r.config.extension, &(struct binding){.name = "x"}), NULL);
	done(&r);
}

static void a_setting_that_is_an_option_already_is_a_mistake_of_its_binding(void **state)
{
	static const struct binding_setting root[] = {{"root", BINDING_DIRECTORY, "no", NULL}};
	static const struct binding bad = {.name = "bad", .settings = root, .setting_count = 1};
	static const struct binding *const of_host[] = {&one, &bad, NULL};
	static const struct binding *const of_another[] = {&one, &two, &one, NULL};
	struct option_table table;
	struct error e;

	(void)state;
	assert_int_equal(option_table_build(&table, of_host, &e), -1);
	assert_string_equal(e.message, "language bad: its setting root is an option already");
	assert_int_equal(option_table_build(&table, of_another, &e), -1);
	assert_string_equal(e.message, "language one: its setting one-home is an option already");
	assert_int_equal(option_table_build(&table, NULL, &e), 0);
	assert_null(option_find(&table, "one-home", 8, ~0));
}

static void there_may_be_so_many_settings_of_languages_and_no_more(void **state)
{
	struct binding_setting many[LANGUAGE_SETTINGS_MAX + 1];
	char names[LANGUAGE_SETTINGS_MAX + 1][16];
	struct binding big = {.name = "big", .settings = many};
	const struct binding *const languages[] = {&big, NULL};
	struct option_table table;
	struct error e;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(many); i++) {
		snprintf(names[i], sizeof(names[i]), "big-%zu", i);
		many[i] =
		    (struct binding_setting){names[i], BINDING_DIRECTORY, "one of many", NULL};
	}
	big.setting_count = LANGUAGE_SETTINGS_MAX;
	assert_int_equal(option_table_build(&table, languages, &e), 0);
	big.setting_count++;
	assert_int_equal(option_table_build(&table, languages, &e), -1);
	assert_string_equal(
	    e.message, "language big: there are more than 16 settings of languages");
}

static void what_an_apps_section_sets_holds_for_it_alone_and_above_its_paths(void **state)
{
	struct reading r;
	struct limits limits;
	struct extension_settings extension;
	const struct config_app *app;

	(void)state;
	accept(&r, "timeout = 3\ncpu = 4\nmemory = 2m\n[app a]\nscript = x.py\nlisten = unix:/s\n"
		   "mode = rerun\ntimeout = 7\n[extension x.py]\ntimeout = 5\ncpu = 6\n"
		   "reload = strict\n[app b]\nscript = x.py\nlisten = unix:/t\n");
	app = config_find_app(&r.config, "a");
	config_limits(&r.config, "x.py", &limits);
	config_extension_settings(&r.config, "x.py", &extension);
	assert_int_equal(limits.timeout, 5);
	assert_string_equal(extension.mode, "auto");
	config_override(&app->own, &limits, &extension);
	assert_int_equal(limits.timeout, 7);
	assert_int_equal(limits.cpu, 6);
	assert_int_equal(limits.memory, 2 << 20);
	assert_string_equal(extension.mode, "rerun");
	assert_string_equal(extension.reload, "strict");
	app = config_find_app(&r.config, "b");
	assert_int_equal(app->workers, 2);
	assert_int_equal(app->own.given, 0);
	assert_null(config_find_app(&r.config, "c"));
	done(&r);
}

static void a_key_of_the_whole_host_cannot_be_set_for_one_app(void **state)
{
	(void)state;
	assert_refused("[app a]\nspares = 3\n", "conf:2: spares cannot be set for one app only");
	assert_refused(
	    "[app a]\nmode = no\n", "conf:2: mode: 'no' is not one of auto|cgi|app|rerun");
	assert_refused("[app a]\nmode = app\nmode = cgi\n",
	    "conf:3: mode has a value already, and cannot have 'cgi' too");
	assert_refused("[app a]\nconfig = x\n", "conf:2: unknown key 'config'");
	assert_refused("[app a]\nrestart = never\n", "conf:2: unknown key 'restart'");
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
	const struct config_source source = {.argc = 1, .argv = argv};

	(void)state;
	accept(&r, "timeout = 6\n");
	snprintf(option, sizeof(option), "--config=%s/conf", r.folder);
	assert_int_equal(fd_write_all(bytes, text, strlen(text)), 0);
	for (int i = 0; i < 2; i++) {
		config_release(&r.config);
		assert_int_equal(
		    config_read_again(&r.config, CONFIG_SERVE, &source, bytes, &r.e), 0);
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
	    cmocka_unit_test(the_section_of_an_app_takes_every_key_of_an_extensions),
	    cmocka_unit_test(a_languages_settings_are_keys_like_any_other),
	    cmocka_unit_test(a_languages_values_are_found_by_its_binding_and_not_by_a_number),
	    cmocka_unit_test(a_setting_that_is_an_option_already_is_a_mistake_of_its_binding),
	    cmocka_unit_test(there_may_be_so_many_settings_of_languages_and_no_more),
	    cmocka_unit_test(what_an_apps_section_sets_holds_for_it_alone_and_above_its_paths),
	    cmocka_unit_test(a_key_of_the_whole_host_cannot_be_set_for_one_app),
	    cmocka_unit_test(a_section_without_an_end_is_none),
	    cmocka_unit_test(an_empty_file_sets_nothing),
	    cmocka_unit_test(a_file_is_read_from_a_descriptor_any_number_of_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
