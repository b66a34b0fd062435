/* Environment variables of extensions: names that are refused, files of variables, what wins. */
#include "unit.h"

#include "base/error.h"
#include "config/config_read.h"
#include "config/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void names_that_a_request_owns_are_refused(void **state)
{
	static const char *const good[] = {"A=", "a_1=x=y", "_=", "HTTP=x", "http_proxy=http://p/",
	    "FOSSIL=x", "TZ=Europe/Berlin", "PATH=/bin", "CONTENT=1"};
	static const char *const bad[] = {"", "=", "A", "1A=x", "A B=x", "A-B=x", "\xc3\xa4=x",
	    "FOSSIL_USER=ada", "FOSSIL_=", "HTTP_PROXY=x", "HTTP_=", "REMOTE_USER=ada",
	    "GATEWAY_INTERFACE=CGI/1.1", "CONTENT_LENGTH=1", "SCRIPT_FILENAME=/x", "HTTPS=on"};
	struct error e;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(good); i++)
		if (environment_check_variable(good[i], &e) < 0)
			fail_msg("%s: %s", good[i], e.message);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		if (environment_check_variable(bad[i], &e) == 0)
			fail_msg("'%s' is not refused", bad[i]);
	assert_int_equal(environment_check_name("A=", &e), -1);
}

static void each_variable_of_cgi_and_of_web_servers_is_refused(void **state)
{
	static const char *const names[] = {"AUTH_TYPE", "CONTENT_LENGTH", "CONTENT_TYPE",
	    "GATEWAY_INTERFACE", "PATH_INFO", "PATH_TRANSLATED", "QUERY_STRING", "REMOTE_ADDR",
	    "REMOTE_HOST", "REMOTE_IDENT", "REMOTE_USER", "REQUEST_METHOD", "SCRIPT_NAME",
	    "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "DOCUMENT_ROOT",
	    "DOCUMENT_URI", "HTTPS", "REMOTE_PORT", "REQUEST_SCHEME", "REQUEST_URI",
	    "SCRIPT_DIRECTORY", "SCRIPT_FILENAME", "SERVER_ADDR"};
	struct error e;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		char longer[64];

		if (environment_check_name(names[i], &e) == 0)
			fail_msg("%s is not refused", names[i]);
		snprintf(longer, sizeof(longer), "%s_", names[i]);
		assert_int_equal(environment_check_name(longer, &e), 0);
	}
}

static void a_name_is_at_most_255_bytes_long(void **state)
{
	char name[257];
	struct error e;

	(void)state;
	memset(name, 'A', sizeof(name));
	name[256] = '\0';
	assert_int_equal(environment_check_name(name, &e), -1);
	name[255] = '\0';
	assert_int_equal(environment_check_name(name, &e), 0);
}

static void a_refused_name_is_an_error_in_each_option(void **state)
{
	char variable[] = "FOSSIL_USER=ada", name[] = "FOSSIL_USER";
	char *variables[] = {variable}, *names[] = {name};
	struct config_environment set = {.env = {variables, 1}}, passed = {.env_pass = {names, 1}};
	struct error e;

	(void)state;
	setenv("FOSSIL_USER", "ada", 1);
	assert_int_equal(environment_read(&set, &e), -1);
	assert_non_null(strstr(e.message, "env: 'FOSSIL_USER'"));
	assert_int_equal(environment_read(&passed, &e), -1);
	assert_non_null(strstr(e.message, "env-pass: 'FOSSIL_USER'"));
	unsetenv("FOSSIL_USER");
}

static void what_is_no_file_is_refused(void **state)
{
	struct config_list variables = {0};
	struct error e;

	(void)state;
	assert_int_equal(environment_read_file(&variables, "/dev/null", &e), -1);
	assert_string_equal(e.message, "/dev/null: not a file");
}

static int read_text(struct config_list *variables, const char *text, struct error *e)
{
	char *folder = unit_folder_make(), *path = unit_path(folder, "file");
	int result;

	*variables = (struct config_list){0};
	unit_file_write(folder, "file", text, 0600);
	result = environment_read_file(variables, path, e);
	if (result < 0) /* without the directory */
		memmove(e->message, e->message + strlen(folder),
		    strlen(e->message + strlen(folder)) + 1);
	free(path);
	unit_folder_remove(folder);
	return result;
}

static void a_file_has_a_variable_in_each_line(void **state)
{
	static const struct {
		const char *text, *variable;
	} cases[] = {
	    {"A=b", "A=b"}, {"A=b\n", "A=b"}, {"\n# x\n ; y\n\t\n A=b \t\r\n", "A=b"}, {"A=", "A="},
	    {"A=b # c", "A=b # c"}, {"A=b\\n$c'\"", "A=b\\n$c'\""}, {"A=' b # c '", "A= b # c "},
	    {"A='b\\'", "A=b\\"}, {"A=\" b \"", "A= b "},
	    {"A=\"\\\"\\\\\\$\\`\\n'\"", "A=\"\\$`\\n'"}, {"A=''", "A="}, {"A=1\nA=2", "A=2"},
	    {"\xef\xbb\xbf"
	     "A=b\n",
		"A=b"}, /* a byte order mark */
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct config_list variables;
		struct error e;

		if (read_text(&variables, cases[i].text, &e) < 0)
			fail_msg("%s: %s", cases[i].text, e.message);
		assert_int_equal(variables.count, 1);
		assert_string_equal(variables.items[0], cases[i].variable);
		config_list_release(&variables);
	}
}

static void a_mistake_in_a_file_names_the_line(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"A=1\nB\n", "/file:2: neither NAME=VALUE nor a comment"},
	    {"export A=1\n", "/file:1: neither NAME=VALUE nor a comment"},
	    /* A key that goes on: no message shows it. */
	    {"A=----\nc2Vj/cmV0==\n", "/file:2: neither NAME=VALUE nor a comment"},
	    {"A='b\nc'\n", "/file:1: a quote is not closed"},
	    {"A=\"b\\\"\n", "/file:1: a quote is not closed"},
	    {"A=\"b\\", "/file:1: a quote is not closed"},
	    {"A='b' c\n", "/file:1: there is text after the closing quote"},
	    {"\nFOSSIL_USER=ada\n",
		"/file:2: 'FOSSIL_USER': names that begin with FOSSIL_ are Fossil's"},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct config_list variables;
		struct error e;

		assert_int_equal(read_text(&variables, cases[i].text, &e), -1);
		assert_string_equal(e.message, cases[i].message);
		config_list_release(&variables);
	}
}

static void a_file_that_is_too_long_is_refused(void **state)
{
	char *text = malloc(ENVIRONMENT_FILE_MAX + 2);
	struct config_list variables;
	struct error e;

	(void)state;
	memset(text, '#', ENVIRONMENT_FILE_MAX + 1);
	text[ENVIRONMENT_FILE_MAX] = '\0';
	assert_int_equal(read_text(&variables, text, &e), 0);
	text[ENVIRONMENT_FILE_MAX] = '#';
	text[ENVIRONMENT_FILE_MAX + 1] = '\0';
	assert_int_equal(read_text(&variables, text, &e), -1);
	assert_string_equal(e.message, "/file: longer than 65536 bytes");
	free(text);
}

/* The variables for an extension, or for an app with this name, separated by blanks. */
static void assert_found(
    const struct config *config, const char *path, const char *app, const char *wanted)
{
	const struct config_app *section = app != NULL ? config_find_app(config, app) : NULL;
	struct config_list found = {0};
	char text[256] = "";

	assert_int_equal(
	    environment_find(config, path, section != NULL ? &section->own : NULL, &found), 0);
	for (size_t i = 0; i < found.count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", found.items[i]);
	assert_string_equal(text, wanted);
	config_list_release(&found);
}

static void what_is_nearer_wins_and_lists_of_sections_add_up(void **state)
{
	char option[512];
	char *argv[] = {option}, *folder = unit_folder_make();
	const struct config_source source = {.argc = 1, .argv = argv};
	struct config config;
	struct error e;
	int operands;

	(void)state;
	unit_file_write(folder, "sub/vars", "A=file\nF=file\n", 0600);
	unit_file_write(folder, "conf",
	    "env = A=all\nenv = B=all\n[extension x*]\nenv = B=x\nenv = C=x\n  D=x\n"
	    "[extension xy]\nenv = C=xy\nenv-file = sub/vars\nenv = A=xy\nenv-pass = UNIT_MISSING\n"
	    "env-pass = UNIT_PASSED\n"
	    "[app a]\nscript = xy\nlisten = relay\nenv = F=app\n"
	    "[service s]\nrun = /bin/true\nenv = B=s\nenv = E=s\n",
	    0600);
	snprintf(option, sizeof(option), "--config=%s/conf", folder);
	setenv("UNIT_PASSED", "yes", 1);
	if (config_read(&config, CONFIG_SERVE, &source, 0, &operands, &e) < 0 ||
	    environment_read_all(&config, &e) < 0)
		fail_msg("%s", e.message);
	assert_found(&config, "z", NULL, " A=all B=all");
	assert_found(&config, "x", NULL, " B=x C=x D=x A=all");
	assert_found(&config, "xy", NULL, " A=xy F=file UNIT_PASSED=yes C=xy B=x D=x");
	assert_found(&config, "xy", "a", " F=app A=xy UNIT_PASSED=yes C=xy B=x D=x");
	assert_int_equal(config.services[0].environment.variables.count, 3);
	config_release(&config);
	unit_folder_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_that_a_request_owns_are_refused),
	    cmocka_unit_test(each_variable_of_cgi_and_of_web_servers_is_refused),
	    cmocka_unit_test(a_name_is_at_most_255_bytes_long),
	    cmocka_unit_test(a_refused_name_is_an_error_in_each_option),
	    cmocka_unit_test(what_is_no_file_is_refused),
	    cmocka_unit_test(a_file_has_a_variable_in_each_line),
	    cmocka_unit_test(a_mistake_in_a_file_names_the_line),
	    cmocka_unit_test(a_file_that_is_too_long_is_refused),
	    cmocka_unit_test(what_is_nearer_wins_and_lists_of_sections_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
