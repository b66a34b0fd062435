/* Requests that one process answers, one after the other. The languages are the tiny one, twice. */
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "binding.h"
#include "command/local_host.h"
#include "config/config_read.h"
#include "request/request.h"
#include "tests/tiny/tiny.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD "print Content-Type: text/plain\nprint\n"

/* A host for each test: the thread that watches its apps stays until the process ends. */
static struct local_host hosts[8];
static size_t host_count;
static struct local_host *h;
static struct config config;
static char *root;
static bool broken; /* the second language does not start */

static int start_other(struct error *e)
{
	return broken ? error_set(e, "no library") : tiny_binding.start(e);
}

static const char *const suffixes[] = {".other", NULL};
static const char *const programs[] = {"other", NULL};
static struct binding other;
static const struct binding *const bindings[] = {&tiny_binding, &other, NULL};

static int begin(void **state)
{
	char *argv[2];
	struct error e;
	int operands;
	struct config_source source;

	(void)state;
	other = tiny_binding;
	other.name = "other";
	other.suffixes = suffixes;
	other.programs = programs;
	other.start = start_other;
	other.setting_count = 0; /* names of settings are one language's alone */
	broken = false;
	root = unit_folder_make();
	unit_file_write(root, "query.tiny", HEAD "env QUERY_STRING\n", 0755);
	unit_file_write(root, "query.other", HEAD "env QUERY_STRING\n", 0755);
	unit_file_write(root, "count.tiny", "# exthost: app\n" HEAD "count\n", 0755);
	unit_file_write(root, "fails.tiny", "exit 3\n", 0755);
	argv[0] = (char *)"--root";
	argv[1] = root;
	h = &hosts[host_count++];
	source = (struct config_source){.argc = 2, .argv = argv, .bindings = bindings};
	assert_int_equal(config_read(&config, CONFIG_REQUEST, &source, 2, &operands, &e), 0);
	assert_int_equal(local_host_open(h, &config, bindings, &e), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	local_host_close(h);
	config_release(&config);
	unit_folder_remove(root);
	/* No process of it is left, and no descriptor of others was closed. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	return 0;
}

/* The reply to a request, as a string that the caller frees; its status in *status. */
static char *ask(const char *path, const char *query, int *status)
{
	FD_OWNED int reply = fd_memory_file("reply");
	struct error e = {""};
	struct request r;

	request_init(&r);
	cgi_variables_set(&r.variables, "REQUEST_METHOD", "GET");
	cgi_variables_set(&r.variables, "SCRIPT_NAME", path);
	cgi_variables_set(&r.variables, "QUERY_STRING", query);
	r.hold = true;
	r.response.fd = reply;
	if (local_host_answer(h, &r, &e) < 0)
		assert_string_equal(e.message, "template: start other: no library");
	*status = r.status;
	request_release(&r);
	return unit_read(reply);
}

/* Ask, and compare the status and the end of the reply. */
static void expect(const char *path, const char *query, int wanted, const char *last)
{
	int status;
	char *reply = ask(path, query, &status);
	size_t size = strlen(reply);

	assert_int_equal(status, wanted);
	assert_true(size >= strlen(last));
	assert_string_equal(reply + size - strlen(last), last);
	free(reply);
}

static void one_template_answers_many_requests(void **state)
{
	pid_t template;

	(void)state;
	expect("/query.tiny", "first", 200, "\r\n\r\nfirst\n");
	template = h->templates[0];
	assert_true(template > 0);
	for (int i = 0; i < 5; i++) {
		char query[16];
		char wanted[32];

		snprintf(query, sizeof(query), "n=%d", i);
		snprintf(wanted, sizeof(wanted), "\r\n\r\n%s\n", query);
		expect("/query.tiny", query, 200, wanted);
		expect("/fails.tiny", "", 500, "");
	}
	assert_int_equal(h->templates[0], template);
}

static void an_app_keeps_its_state_between_requests(void **state)
{
	(void)state;
	expect("/count.tiny", "", 200, "\r\n\r\n1\n");
	expect("/count.tiny", "", 200, "\r\n\r\n2\n");
	expect("/count.tiny", "", 200, "\r\n\r\n3\n");
}

static void a_language_is_started_when_a_script_of_it_is_asked_for(void **state)
{
	(void)state;
	expect("/missing.tiny", "", 404, "");
	assert_int_equal(h->templates[0], 0);
	assert_int_equal(h->templates[1], 0);
	expect("/query.other", "a", 200, "\r\n\r\na\n");
	assert_int_equal(h->templates[0], 0);
	assert_true(h->templates[1] > 0);
	/* By then the thread that watches the app runs. */
	expect("/count.tiny", "", 200, "\r\n\r\n1\n");
	assert_true(h->templates[0] > 0);
	expect("/query.other", "b", 200, "\r\n\r\nb\n");
}

static void a_language_is_started_beside_the_thread_that_watches_apps(void **state)
{
	(void)state;
	expect("/count.tiny", "", 200, "\r\n\r\n1\n");
	expect("/query.other", "a", 200, "\r\n\r\na\n");
	expect("/count.tiny", "", 200, "\r\n\r\n2\n");
}

static void a_language_that_does_not_start_is_tried_again(void **state)
{
	(void)state;
	broken = true;
	expect("/query.other", "a", 0, "");
	assert_int_equal(h->templates[1], 0);
	expect("/query.tiny", "b", 200, "\r\n\r\nb\n");
	broken = false;
	expect("/query.other", "c", 200, "\r\n\r\nc\n");
}

static void what_no_server_would_pass_on_is_refused_without_a_run(void **state)
{
	const struct error why = {"the path has a NUL"};
	FD_OWNED int reply = fd_memory_file("reply");
	struct request r;
	char *text;

	(void)state;
	request_init(&r);
	cgi_variables_set(&r.variables, "REQUEST_METHOD", "GET");
	cgi_variables_set(&r.variables, "SCRIPT_NAME", "/query.tiny");
	r.response.fd = reply;
	local_host_refuse(h, &r, 404, &why);
	text = unit_read(reply);
	assert_int_equal(r.status, 404);
	assert_ptr_equal(strstr(text, "Status: 404 "), text);
	assert_int_equal(h->templates[0], 0);
	free(text);
	request_release(&r);
	expect("/query.tiny", "a", 200, "\r\n\r\na\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_template_answers_many_requests),
	    TEST(an_app_keeps_its_state_between_requests),
	    TEST(a_language_is_started_when_a_script_of_it_is_asked_for),
	    TEST(a_language_is_started_beside_the_thread_that_watches_apps),
	    TEST(a_language_that_does_not_start_is_tried_again),
	    TEST(what_no_server_would_pass_on_is_refused_without_a_run),
	};

	/* The lowest descriptor is open. */
	close(STDIN_FILENO);
	if (open("/dev/null", O_RDONLY) != STDIN_FILENO)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
