/* Which language a script is in, and how long what is kept of it stays valid. */
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "binding.h"
#include "request/script.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PYTHON, TCL };

static const char *const python_suffixes[] = {".py", ".wsgi", NULL};
static const char *const python_programs[] = {"python", NULL};
static const char *const tcl_suffixes[] = {".tcl", NULL};
static const char *const tcl_programs[] = {"tclsh", "wapptclsh", NULL};
static const struct binding python = {
    .name = "python", .suffixes = python_suffixes, .programs = python_programs};
static const struct binding tcl = {
    .name = "tcl", .suffixes = tcl_suffixes, .programs = tcl_programs};
static const struct binding *const bindings[] = {&python, &tcl, NULL};

struct place {
	char *folder;
	struct scripts *scripts;
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->folder = unit_folder_make();
	p->scripts = scripts_create(bindings);
	assert_non_null(p->scripts);
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	scripts_destroy(p->scripts);
	unit_folder_remove(p->folder);
	free(p);
	return 0;
}

/* As the front does it: open, look at the status, ask. */
static int find(
    const struct place *p, const char *name, struct stat *status, int *code, struct error *e)
{
	char *path = unit_path(p->folder, name);
	FD_OWNED int file = open(path, O_RDONLY | O_CLOEXEC);

	struct script_found found;
	int result;

	free(path);
	assert_true(file >= 0);
	assert_int_equal(fstat(file, status), 0);
	result = scripts_find(p->scripts, name, file, status, &found, e);
	assert_int_equal(result, found.language < 0 ? -1 : 0);
	*code = found.code;
	return found.language;
}

static int language_of(const struct place *p, const char *name, const char *text, struct error *e)
{
	struct stat status;
	int code;
	int language;

	unit_file_write(p->folder, name, text, 0755);
	language = find(p, name, &status, &code, e);
	assert_int_equal(code, -1);
	return language;
}

static void the_first_line_or_else_the_suffix_tells_the_language(void **state)
{
	static const struct {
		const char *name, *text;
		int language;
	} cases[] = {
	    {"a", "#!/usr/bin/python3\n", PYTHON},
	    {"a", "#!/opt/bin/python3.11\nx", PYTHON},
	    {"a", "#! /usr/bin/tclsh8.6 -encoding utf-8\n", TCL},
	    {"a", "#!wapptclsh", TCL},
	    {"a", "#!/usr/bin/tclsh\r\n", TCL},
	    {"a", "#!/usr/bin/env python3\n", PYTHON},
	    {"a", "#!/usr/bin/env -S A=1 tclsh -x\n", TCL},
	    {"a", "#!/usr/bin/exthost-cgi tcl\n", TCL},
	    {"a", "#!/usr/bin/exthost-cgi --socket /run/x python\n", PYTHON},
	    {"a.tcl", "#!/usr/bin/exthost-cgi\n", TCL},
	    {"a.wsgi", "application = None\n", PYTHON},
	    {"a.py", "", PYTHON},
	    {"a.tcl", "#!/usr/bin/python3\n", PYTHON},
	    {"a.b.py", "# no interpreter\n", PYTHON},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct error e = {""};
		int language = language_of(*state, cases[i].name, cases[i].text, &e);

		if (language != cases[i].language)
			fail_msg(
			    "%s '%s' is %d: %s", cases[i].name, cases[i].text, language, e.message);
	}
}

/* Each error names the script, the word, and what is known there. */
static void a_word_that_a_shebang_line_may_not_have_is_named(void **state)
{
	static const struct {
		const char *name, *text, *word, *known;
	} cases[] = {
	    {"a.py", "#!/usr/bin/exthost-cgi ruby\n", "'ruby' after exthost-cgi",
		"--socket PATH, python, tcl"},
	    {"a.py", "#!/usr/bin/exthost-cgi --sokcet /run/x python\n", "'--sokcet' after",
		"--socket PATH, python, tcl"},
	    {"a.py", "#!/usr/bin/exthost-cgi --socket\n", "'--socket' without a PATH", "PATH"},
	    {"a.py", "#!/usr/bin/exthost-cgi python tcl\n", "'tcl' after", "python, tcl"},
	    {"a.py", "#!/usr/bin/exthost-cgi python -u\n", "'-u' after", "python, tcl"},
	    {"a.py", "#!/bin/sh\n", "'sh' as its program",
		"exthost-cgi, env, python, tclsh, wapptclsh"},
	    {"a.py", "#!/usr/bin/env perl\n", "'perl' as its program", "python, tclsh"},
	    {"a.py", "#!/usr/bin/env\n", "'env' without a program", "env PROGRAM, python"},
	    {"a.py", "#!\n", "'' as its program", "python, tclsh"},
	    {"a.py", "#!/usr/bin/python3 other.py\n", "'other.py' after python3", "options"},
	    {"a.py", "#!/usr/bin/env python3 other.py\n", "'other.py' after python3", "options"},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct error e = {""};

		assert_int_equal(language_of(*state, cases[i].name, cases[i].text, &e), -1);
		if (strncmp(e.message, "a.py: its shebang line has ", 27) != 0 ||
		    strstr(e.message, cases[i].word) == NULL ||
		    strstr(e.message, cases[i].known) == NULL)
			fail_msg("%s: %s", cases[i].text, e.message);
	}
}

static void a_name_or_one_of_the_first_ten_lines_tells_that_it_stays_loaded(void **state)
{
	static const struct {
		const char *name, *text;
		enum script_kind kind;
	} cases[] = {
	    {"a.py", "#!/usr/bin/python3\nprint()\n", SCRIPT_CGI},
	    {"a.wsgi", "application = None\n", SCRIPT_APP},
	    {"wsgi.py", "", SCRIPT_CGI},
	    {"a.py", "# exthost: app\n", SCRIPT_APP},
	    {"a.py", "#!/usr/bin/python3\r\n#exthost:app\r\n", SCRIPT_APP},
	    {"a.tcl", "#!/usr/bin/tclsh\n\n\n\n\n\n\n\n\n  ## exthost:  app", SCRIPT_APP},
	    {"a.tcl", "#!/usr/bin/tclsh\n\n\n\n\n\n\n\n\n\n# exthost: app", SCRIPT_CGI},
	    {"a.tcl", "# exthost: rerun\n", SCRIPT_RERUN},
	    {"a.wsgi", "# exthost: rerun\n", SCRIPT_RERUN},
	    {"a.py", "# exthost: apple\n", SCRIPT_CGI},
	    {"a.py", "x = 1 # exthost: app\n", SCRIPT_CGI},
	    {"a.py", "'''\nexthost: app\n'''\n", SCRIPT_CGI},
	};
	const struct place *p = *state;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		char *path = unit_path(p->folder, cases[i].name);
		struct script_found found;
		struct stat status;
		struct error e;
		int file;

		unit_file_write(p->folder, cases[i].name, cases[i].text, 0755);
		file = open(path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(fstat(file, &status), 0);
		assert_int_equal(
		    scripts_find(p->scripts, cases[i].name, file, &status, &found, &e), 0);
		if (found.kind != cases[i].kind)
			fail_msg("%s '%s' is %d", cases[i].name, cases[i].text, (int)found.kind);
		close(file);
		free(path);
	}
}

static void anything_else_is_refused_and_its_first_line_told(void **state)
{
	static const struct {
		const char *name, *text, *told;
	} cases[] = {
	    {"a", "#!/bin/sh\necho\n", "'sh'"},
	    {"a", "#!/usr/bin/python3x\n", "'python3x'"},
	    {"a", "#!/usr/bin/exthost-cgi\n", "exthost-cgi"},
	    {"a", "", "''"},
	    {"py", "print()\n", "'print()'"},
	    {"a.sh",
		"\x7f"
		"ELF",
		"ELF"},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct error e = {""};

		if (language_of(*state, cases[i].name, cases[i].text, &e) != -1)
			fail_msg("%s '%s' is not refused", cases[i].name, cases[i].text);
		if (strstr(e.message, cases[i].told) == NULL)
			fail_msg("'%s' does not tell %s", e.message, cases[i].told);
	}
}

static void keep(const struct place *p, const struct stat *status, const char *text)
{
	FD_OWNED int code = fd_memory_file("unit");

	assert_int_equal(fd_write_all(code, text, strlen(text)), 0);
	scripts_keep(p->scripts, status, code);
}

/* A file must have been unchanged for a moment before anything is kept. NULL: it never was. */
static char *find_kept(const struct place *p, const char *name, const char *text, int language)
{
	const struct timespec pause = {0, 10000000};

	for (int tries = 0; tries < 500; tries++, nanosleep(&pause, NULL)) {
		struct stat status;
		int code;
		char *kept;

		assert_int_equal(find(p, name, &status, &code, NULL), language);
		if (code < 0) {
			keep(p, &status, text);
			continue;
		}
		kept = unit_read(code);
		close(code);
		return kept;
	}
	return NULL;
}

static void what_is_kept_is_given_until_the_file_changes(void **state)
{
	const struct place *p = *state;
	struct stat status, old;
	char *kept;
	int code;

	unit_file_write(p->folder, "kept", "#!/bin/python\n", 0755);
	kept = find_kept(p, "kept", "code of one", PYTHON);
	assert_string_equal(kept, "code of one");
	free(kept);
	assert_int_equal(find(p, "kept", &old, &code, NULL), PYTHON);
	assert_true(code >= 0);
	close(code);

	/* As long as before. */
	unit_file_write(p->folder, "kept", "#!/bin/tclsh \n", 0755);
	assert_int_equal(find(p, "kept", &status, &code, NULL), TCL);
	assert_int_equal(code, -1);
	/* A run of the old file that ends only now must not speak for the new one. */
	kept = find_kept(p, "kept", "code of two", TCL);
	keep(p, &old, "late code of one");
	free(kept);
	kept = find_kept(p, "kept", "", TCL);
	assert_string_equal(kept, "code of two");
	free(kept);
}

static void what_is_kept_for_one_file_is_not_given_to_another(void **state)
{
	const struct place *p = *state;
	struct stat status;
	char *kept;
	int code;

	unit_file_write(p->folder, "one", "#!/bin/python\n", 0755);
	unit_file_write(p->folder, "two", "#!/bin/python\n", 0755);
	kept = find_kept(p, "one", "code", PYTHON);
	assert_non_null(kept);
	free(kept);
	assert_int_equal(find(p, "two", &status, &code, NULL), PYTHON);
	assert_int_equal(code, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		the_first_line_or_else_the_suffix_tells_the_language, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(
		a_name_or_one_of_the_first_ten_lines_tells_that_it_stays_loaded, make_place,
		remove_place),
	    cmocka_unit_test_setup_teardown(
		anything_else_is_refused_and_its_first_line_told, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(
		a_word_that_a_shebang_line_may_not_have_is_named, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(
		what_is_kept_is_given_until_the_file_changes, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(
		what_is_kept_for_one_file_is_not_given_to_another, make_place, remove_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
