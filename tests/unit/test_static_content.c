/* Which files may be sent: host/request/static_content.h. */
#include "unit.h"

#include "binding.h"
#include "request/static_content.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const one_suffixes[] = {".one", ".ONLY", NULL};
static const char *const two_suffixes[] = {".two", NULL};
static const struct binding one = {.name = "one", .suffixes = one_suffixes};
static const struct binding two = {.name = "two", .suffixes = two_suffixes};
static const struct binding *const bindings[] = {&one, &two, NULL};

/* "" if a file of this name and content may be sent, else what it is. */
static const char *judge(const char *name, const void *content, size_t size)
{
	FILE *file = tmpfile();
	const char *kind;

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, size, file), size);
	assert_int_equal(fflush(file), 0);
	kind = static_content_secret(bindings, name, fileno(file));
	fclose(file);
	return kind != NULL ? kind : "";
}

static void assert_sent(const char *name)
{
	const char *reason = judge(name, "text\n", 5);

	if (reason[0] != '\0')
		fail_msg("%s: %s", name, reason);
}

static void assert_refused(const char *name, const char *what)
{
	const char *reason = judge(name, "text\n", 5);

	if (strstr(reason, what) == NULL || reason[0] == '\0')
		fail_msg("%s: '%s' does not say '%s'", name, reason, what);
}

static void what_a_page_is_made_of_is_sent(void **state)
{
	static const char *const names[] = {"index.html", "style.css", "jquery-3.6.0.min.js",
	    "README", "LICENSE.txt", "data.json", "a.csv", "archive.tar.gz", "logo.png",
	    "python.html", "db", "env", "key", "monkey.gif", "app/static/keyboard.svg",
	    "lib.key-value.js", "chunk.pylon.js", "x.dbx", "x.keys", "x.wsgix", "x.sqlit",
	    "journal", "a-journal.html", "a-wall", "x-shm/a.txt", "x.environment", "x.2", "x.",
	    "x..", "conf/settings.html", "app.py/readme.txt", "a.db/index.html", "x.confetti",
	    "x.p", "x.p1", "x.d"};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(names); i++)
		assert_sent(names[i]);
}

static void source_is_not(void **state)
{
	static const char *const names[] = {"x.one", "x.only", "a/b/x.two", "x.pyc", "x.pyo",
	    "x.pyw", "x.pyi", "x-1.0.tm", "app/__pycache__/models.cpython-311.pyc",
	    "__pycache__/notes.txt", "__PYCACHE__/notes.txt"};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(names); i++)
		assert_refused(names[i], "source");
}

static void what_cannot_be_read_is_not(void **state)
{
	(void)state;
	assert_non_null(static_content_secret(bindings, "style.css", -1));
}

static void databases_and_keys_are_not(void **state)
{
	static const char *const bases[] = {"x.db", "x.sqlite", "x.sqlite3", "x.sqlitedb",
	    "x.fossil", "x.db3", "data/users.db", "museum-wal", "museum-journal", "a/b.dat-shm",
	    "a.b/museum-WAL", "x.old.dat-wal"};
	static const char *const keys[] = {"x.env", "id_rsa.key", "server.pem", "x.p12",
	    "x.P12.old", "x.pfx", "php.ini", "a/exthost.conf", "setup.cfg"};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bases); i++)
		assert_refused(bases[i], "database");
	for (size_t i = 0; i < UNIT_COUNT(keys); i++)
		assert_refused(keys[i], "key");
}

static void a_suffix_counts_wherever_it_stands_behind_the_first_dot(void **state)
{
	static const char *const names[] = {"settings.one.bak", "settings.one.bak.old", "x.db.old",
	    "id_rsa.key.1", "x.a.b.two.c", "x.ONE", "X.One.Bak", "x.DB", "x.SQLite3", "x..db",
	    "x.db-wal", "x.db-shm", "x.db-journal", "x.sqlite3-wal", "x.DB-WAL", "x.db-wal.gz",
	    "x.one-journal", "x.env-shm", "x.one-old", "x.one_2026", "x.db-2026-11-30",
	    "x.env-production", "x.db.gz", "x.one1", "x.db2.bak"};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(names); i++)
		assert_refused(names[i], "");
}

static void what_a_file_holds_tells_too(void **state)
{
	static const char key[] = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl";
	static const char certificate[] = "-----BEGIN CERTIFICATE-----\nMIIB";

	(void)state;
	assert_non_null(strstr(judge("hello", "#!/usr/bin/x", 12), "#!"));
	assert_non_null(strstr(judge("hello", "#!", 2), "#!"));
	assert_string_equal(judge("hello", "#", 1), "");
	assert_string_equal(judge("hello", " #!", 3), "");
	assert_string_equal(judge("hello", "", 0), "");
	assert_non_null(strstr(judge("museum", "SQLite format 3\0\x10", 17), "database"));
	assert_non_null(strstr(judge("museum", "SQLite format 3", 16), "database"));
	assert_string_equal(judge("museum", "SQLite format 3 is a format", 27), "");
	assert_non_null(strstr(judge("id_rsa", key, sizeof(key) - 1), "key"));
	assert_string_equal(judge("chain.crt", certificate, sizeof(certificate) - 1), "");
	assert_string_equal(judge("howto.txt", "\n-----BEGIN PRIVATE KEY-----", 28), "");
}

static void the_option_offers_all_none_or_what_a_pattern_matches(void **state)
{
	(void)state;
	assert_true(static_content_is_offered("yes", "a/b.css"));
	assert_true(static_content_is_offered("on", "a/b.css"));
	assert_false(static_content_is_offered("no", "no"));
	assert_false(static_content_is_offered("off", "off"));
	assert_false(static_content_is_offered("", "a"));
	assert_true(static_content_is_offered("*.css", "a/b.css"));
	assert_false(static_content_is_offered("*.css", "a/b.css.txt"));
	assert_true(static_content_is_offered("static/*", "static/a/b"));
	assert_false(static_content_is_offered("static/*", "other/static/a"));
	assert_true(static_content_is_offered("  index.html\t static/*  *.css ", "index.html"));
	assert_true(static_content_is_offered("index.html static/* *.css", "x.css"));
	assert_false(static_content_is_offered("index.html static/* *.css", "x.js"));
	assert_true(static_content_is_offered("[ab].txt", "b.txt"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_page_is_made_of_is_sent),
	    cmocka_unit_test(source_is_not),
	    cmocka_unit_test(what_cannot_be_read_is_not),
	    cmocka_unit_test(databases_and_keys_are_not),
	    cmocka_unit_test(a_suffix_counts_wherever_it_stands_behind_the_first_dot),
	    cmocka_unit_test(what_a_file_holds_tells_too),
	    cmocka_unit_test(the_option_offers_all_none_or_what_a_pattern_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
