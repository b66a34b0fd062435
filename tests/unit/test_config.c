/* Options from the command line and from the file, their ranges, and the messages of mistakes. */
#include "unit.h"

#include "base/error.h"
#include "binding.h"
#include "config/config_check.h"
#include "config/config_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 16

/* The arguments in one string, at blanks; argv is left as config_read leaves it. */
struct call {
	char text[1024];
	char *argv[ARGUMENTS_MAX];
	int operands;
	struct config config;
	struct error e;
};

static int call_read(
    struct call *c, enum config_command command, int max_operands, const char *line)
{
	struct config_source source = {.argv = c->argv};
	char *rest;

	*c = (struct call){0};
	snprintf(c->text, sizeof(c->text), "%s", line);
	for (char *word = strtok_r(c->text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		c->argv[source.argc++] = word;
	return config_read(&c->config, command, &source, max_operands, &c->operands, &c->e);
}

static void serve(struct call *c, const char *line)
{
	if (call_read(c, CONFIG_SERVE, 0, line) < 0)
		fail_msg("%s: %s", line, c->e.message);
}

static void assert_refused(enum config_command command, const char *line, const char *message)
{
	struct call c;

	if (call_read(&c, command, 1, line) == 0)
		fail_msg("not refused: %s", line);
	assert_string_equal(c.e.message, message);
	config_release(&c.config);
}

static void what_is_not_given_has_its_default(void **state)
{
	struct call c;

	(void)state;
	serve(&c, "");
	assert_null(c.config.root);
	assert_null(c.config.log);
	assert_int_equal(c.config.listen.count, 0);
	assert_string_equal(c.config.prefix, "");
	assert_string_equal(c.config.log_format, "text");
	assert_int_equal(c.config.limits.max_body, 64 << 20);
	assert_int_equal(c.config.reply_buffer, 256 << 10);
	assert_int_equal(c.config.grace, 10);
	assert_false(c.config.debug);
	config_release(&c.config);
}

static void options_are_taken_in_both_spellings(void **state)
{
	struct call c;

	(void)state;
	serve(
	    &c, "--listen unix:/a --grace=3 --listen=tcp:127.0.0.1:1,prefix=/x --prefix= --debug");
	assert_int_equal(c.config.listen.count, 2);
	assert_string_equal(c.config.listen.items[0], "unix:/a");
	assert_string_equal(c.config.listen.items[1], "tcp:127.0.0.1:1,prefix=/x");
	assert_int_equal(c.config.grace, 3);
	assert_string_equal(c.config.prefix, "");
	assert_true(c.config.debug);
	config_release(&c.config);
}

static void a_size_may_end_in_k_m_or_g(void **state)
{
	struct call c;

	(void)state;
	serve(&c, "--max-body 3k --max-header 1M --reply-buffer 1g");
	assert_int_equal(c.config.limits.max_body, 3 << 10);
	assert_int_equal(c.config.max_header, 1 << 20);
	assert_int_equal(c.config.reply_buffer, 1 << 30);
	config_release(&c.config);
}

static void operands_are_moved_to_the_front(void **state)
{
	struct call c;

	(void)state;
	assert_int_equal(call_read(&c, CONFIG_REQUEST, 2, "--debug POST --body - /x --cgi"), 0);
	assert_int_equal(c.operands, 2);
	assert_string_equal(c.argv[0], "POST");
	assert_string_equal(c.argv[1], "/x");
	assert_string_equal(c.config.body, "-");
	assert_true(c.config.cgi);
	config_release(&c.config);
}

static void a_mistake_on_the_command_line_names_the_option(void **state)
{
	(void)state;
	assert_refused(CONFIG_SERVE, "--nothing 1", "unknown option --nothing");
	assert_refused(CONFIG_SERVE, "--body x", "unknown option --body");
	assert_refused(CONFIG_REQUEST, "--listen x", "unknown option --listen");
	assert_refused(CONFIG_SERVE, "-x", "unknown option -x");
	assert_refused(CONFIG_SERVE, "one two", "unexpected argument 'two'");
	assert_refused(CONFIG_SERVE, "--root", "option --root needs a value: DIR");
	assert_refused(CONFIG_SERVE, "--grace soon", "option --grace: 'soon' is not a number");
	assert_refused(CONFIG_SERVE, "--grace 5k", "option --grace: '5k' is not a number");
	assert_refused(CONFIG_SERVE, "--grace -1", "option --grace: '-1' is not a number");
	assert_refused(CONFIG_SERVE, "--grace=", "option --grace: '' is not a number");
	assert_refused(CONFIG_SERVE, "--max-body 5x",
	    "option --max-body: '5x' is not a number of bytes (k, m and g may follow)");
	assert_refused(
	    CONFIG_SERVE, "--debug=maybe", "option --debug: 'maybe' is neither yes nor no");
	assert_refused(
	    CONFIG_SERVE, "--log-format xml", "option --log-format: 'xml' is not one of text|json");
	assert_refused(
	    CONFIG_SERVE, "--log-format tex", "option --log-format: 'tex' is not one of text|json");
}

static void numbers_have_their_range(void **state)
{
	struct call c;

	(void)state;
	serve(&c, "--spares 1 --max-connections 16384 --max-header 4096");
	config_release(&c.config);
	assert_refused(CONFIG_SERVE, "--spares 0",
	    "option --spares: '0' is out of range, allowed is 1 to 256");
	assert_refused(CONFIG_SERVE, "--spares 257",
	    "option --spares: '257' is out of range, allowed is 1 to 256");
	assert_refused(CONFIG_SERVE, "--max-header 4095",
	    "option --max-header: '4095' is out of range, allowed is 4096 to 1048576");
	assert_refused(CONFIG_SERVE, "--spares 18446744073709551617",
	    "option --spares: '18446744073709551617' is out of range, allowed is 1 to 256");
	assert_refused(CONFIG_SERVE, "--reply-buffer 17179869185g",
	    "option --reply-buffer: '17179869185g' is out of range, allowed is 4096 to 1073741824");
}

static void folders_must_be_there(void **state)
{
	struct call c;

	(void)state;
	assert_refused(CONFIG_SERVE, "--root /nowhere/at/all",
	    "extension root /nowhere/at/all: No such file or directory");
	assert_refused(
	    CONFIG_SERVE, "--root /etc/passwd", "extension root /etc/passwd: not a directory");
	assert_refused(CONFIG_SERVE, "--tmpdir /nowhere",
	    "directory for temporary files /nowhere: No such file or directory");
	serve(&c, "--root /usr/../usr/./bin/..");
	assert_string_equal(c.config.root, "/usr");
	config_release(&c.config);
}

/* With a file of this text, and more options behind it. */
static int read_with_file(struct call *c, const char *folder, const char *text, const char *more)
{
	char line[512];

	unit_file_write(folder, "conf", text, 0644);
	snprintf(line, sizeof(line), "--config %s/conf %s", folder, more);
	return call_read(c, CONFIG_SERVE, 0, line);
}

static void the_file_has_the_same_names(void **state)
{
	char *folder = unit_folder_make();
	struct call c;

	(void)state;
	assert_int_equal(read_with_file(&c, folder,
			     "# first\nroot = /usr\n\n; second\nlisten = unix:/a,mode=0660\n"
			     "listen = fd\nmax-body = 1m\ndebug = yes\nlog-format=json\n",
			     ""),
	    0);
	assert_string_equal(c.config.root, "/usr");
	assert_int_equal(c.config.listen.count, 2);
	assert_string_equal(c.config.listen.items[0], "unix:/a,mode=0660");
	assert_string_equal(c.config.listen.items[1], "fd");
	assert_int_equal(c.config.limits.max_body, 1 << 20);
	assert_true(c.config.debug);
	assert_string_equal(c.config.log_format, "json");
	config_release(&c.config);
	unit_folder_remove(folder);
}

static void the_command_line_wins_over_the_file(void **state)
{
	char *folder = unit_folder_make();
	struct call c;

	(void)state;
	assert_int_equal(
	    read_with_file(&c, folder, "listen = fd\ngrace = 1\nspares = 7\ndebug = yes\n",
		"--listen unix:/b --grace 2 --debug=no"),
	    0);
	assert_int_equal(c.config.listen.count, 1);
	assert_string_equal(c.config.listen.items[0], "unix:/b");
	assert_int_equal(c.config.grace, 2);
	assert_int_equal(c.config.spares, 7);
	assert_false(c.config.debug);
	config_release(&c.config);
	unit_folder_remove(folder);
}

static void a_mistake_in_the_file_names_file_and_line(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"root = /usr\nnothing = 1\n", "conf:2: unknown key 'nothing'"},
	    {"body = x\n", "conf:1: unknown key 'body'"},
	    {"config = x\n", "conf:1: unknown key 'config'"},
	    {"\n\n[lane]\nroot = /usr\n", "conf:3: unknown section [lane], allowed are [extension "
					  "PATTERN], [app NAME] and [service NAME]"},
	    {"[extension ]\n", "conf:1: unknown section [extension ], allowed are [extension "
			       "PATTERN], [app NAME] and [service NAME]"},
	    {"\xef\xbb\xbf[extension x]\nspares = 3\n",
		"conf:2: spares cannot be set for some extensions only"},
	    {"\v[extension x]\ntimeout = 1\n",
		"conf:1: a section begins at the beginning of its line"},
	    {"\n[extension x]\nspares = 3\n",
		"conf:3: spares cannot be set for some extensions only"},
	    {"[extension x]\ntimeout = 0\n",
		"conf:2: timeout: '0' is out of range, allowed is 1 to 86400"},
	    {"memory = all\n",
		"conf:1: memory: 'all' is not a number of bytes (k, m and g may follow) and not "
		"'unlimited'"},
	    {"# a\ngrace = soon\nspares = 0\n", "conf:2: grace: 'soon' is not a number"},
	    {"spares = 1000\n", "conf:1: spares: '1000' is out of range, allowed is 1 to 256"},
	    {"[service ]\n", "conf:1: unknown section [service ], allowed are [extension PATTERN], "
			     "[app NAME] and [service NAME]"},
	    {"[service a]\nrun = /x\n[service b]\n[service a]\n",
		"conf:4: there are two services of this name"},
	    {"[service a]\nlisten = fd\n", "conf:2: unknown key 'listen'"},
	    {"[service a]\ntimeout = 5\n", "conf:2: unknown key 'timeout'"},
	    {"run = /x\n", "conf:1: unknown key 'run'"},
	    {"[extension x]\nrun = /x\n", "conf:2: unknown key 'run'"},
	    {"[service a]\nrun = /x\nrestart = never\nrestart = always\n",
		"conf:4: restart has a value already, and cannot have 'always' too"},
	    {"[service a]\nscript = /x.py\n  -v\n",
		"conf:3: script has a value already, and cannot have '-v' too"},
	    {"[service a]\nrun = /x\nrun = /y\n",
		"conf:3: run has a value already, and cannot have '/y' too"},
	    {"[service a]\n  run = /x\n  restart = never\n",
		"conf:2: a key begins at the beginning of its line"},
	    {"[service a]\nrestart = sometimes\n",
		"conf:2: restart: 'sometimes' is not one of always|on-failure|never"},
	    {"[service a]\nrestart-delay = 3601\n",
		"conf:2: restart-delay: '3601' is out of range, allowed is 0 to 3600"},
	    {"root = /usr\nwhat is this\n", "conf:2: neither 'name = value' nor a comment"},
	};
	char *folder = unit_folder_make();

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		char message[512];
		struct call c;

		assert_int_equal(read_with_file(&c, folder, cases[i].text, ""), -1);
		snprintf(message, sizeof(message), "%s/%s", folder, cases[i].message);
		assert_string_equal(c.e.message, message);
		config_release(&c.config);
	}
	unit_folder_remove(folder);
}

static void a_line_too_long_is_told_and_not_cut(void **state)
{
	char *folder = unit_folder_make();
	char text[300];
	struct call c;

	(void)state;
	snprintf(text, sizeof(text), "debug = yes\nlog = /%0250d\n", 0);
	assert_int_equal(read_with_file(&c, folder, text, ""), -1);
	assert_non_null(strstr(c.e.message, "conf:2: the line is too long"));
	config_release(&c.config);
	unit_folder_remove(folder);
}

static void a_section_holds_for_the_extensions_it_names(void **state)
{
	char *folder = unit_folder_make();
	struct limits limits;
	struct call c;

	(void)state;
	assert_int_equal(read_with_file(&c, folder,
			     "timeout = 5\nmax-body = 1m\n"
			     "[extension reports/*]\ntimeout = 60\nmemory = 2m\n"
			     "[extension  /reports/fast.py ]\ntimeout = 1\nmax-body = 3m\n",
			     "--lane 3"),
	    0);
	config_limits(&c.config, "hello.py", &limits);
	assert_int_equal(limits.timeout, 5);
	assert_int_equal(limits.lane, 3);
	assert_true(limits.memory == UINT64_MAX);
	config_limits(&c.config, "reports/month.py", &limits);
	assert_int_equal(limits.timeout, 60);
	assert_int_equal(limits.memory, 2 << 20);
	assert_int_equal(limits.max_body, 1 << 20);
	config_limits(&c.config, "reports/fast.py", &limits);
	assert_int_equal(limits.timeout, 1);
	assert_int_equal(limits.memory, 2 << 20);
	assert_int_equal(limits.max_body, 3 << 20);
	assert_int_equal(config_largest_body(&c.config), 3 << 20);
	config_release(&c.config);
	unit_folder_remove(folder);
}

static void a_service_is_described_in_a_section_of_its_own(void **state)
{
	char *folder = unit_folder_make();
	struct call c;
	const struct config_service *s;

	(void)state;
	assert_int_equal(read_with_file(&c, folder,
			     "root = /usr\n"
			     "[service  the museum ]\nrun = /usr/bin/fossil server /museum\n"
			     "  --port 8080\n\n# a comment\n\t--extroot '/srv/ext\n\there'\n"
			     "[extension x]\ntimeout = 1\n"
			     "[service mailer]\nrestart = on-failure\nscript = /m.tcl -v\n"
			     "restart-delay = 0\n",
			     ""),
	    0);
	assert_int_equal(c.config.service_count, 2);
	s = c.config.services;
	assert_string_equal(s->name, "the museum");
	assert_int_equal(s->run.count, 4);
	assert_string_equal(s->run.items[0], "/usr/bin/fossil server /museum");
	assert_string_equal(s->run.items[1], "--port 8080");
	assert_string_equal(s->run.items[2], "--extroot '/srv/ext");
	assert_string_equal(s->run.items[3], "here'");
	assert_null(s->script);
	assert_string_equal(s->restart, "always");
	assert_int_equal(s->restart_delay, 1);
	s++;
	assert_string_equal(s->name, "mailer");
	assert_int_equal(s->run.count, 0);
	assert_string_equal(s->script, "/m.tcl -v");
	assert_string_equal(s->restart, "on-failure");
	assert_int_equal(s->restart_delay, 0);
	assert_int_equal(c.config.section_count, 1);
	config_release(&c.config);
	unit_folder_remove(folder);
}

static const char *const python_suffixes[] = {".py", NULL};
static const char *const tcl_suffixes[] = {".tcl", NULL};
static const struct binding python = {
    .name = "python", .command = "python", .suffixes = python_suffixes};
static const struct binding tcl = {.name = "tcl", .command = "tclsh", .suffixes = tcl_suffixes};
static const struct binding *const bindings[] = {&python, &tcl, NULL};

/* As the host reads it, with all its checks; 0 or -1. */
static int read_as_host(
    struct config *config, const char *folder, const char *text, struct error *e)
{
	char *path = unit_path(folder, "conf");
	char *argv[] = {(char *)"--root", (char *)"/usr", (char *)"--config", path};
	const struct config_source source = {.argc = 4, .argv = argv, .bindings = bindings};
	int result;

	unit_file_write(folder, "conf", text, 0644);
	*config = (struct config){0};
	*e = (struct error){""};
	result = config_check_read(&source, -1, config, e);
	free(path);
	return result;
}

static void a_service_that_could_not_be_kept_is_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"[service a]\n", "service a: either run or script says what it is"},
	    {"[service a]\nrun = /x\nscript = /x.py\n",
		"service a: either run or script says what it is"},
	    {"[service a]\nrun = x y\n", "service a: 'x' is no absolute path"},
	    {"[service a]\nrun = '' /x\n", "service a: '' is no absolute path"},
	    {"[service a]\nscript = lib/x.py\n", "service a: 'lib/x.py' is no absolute path"},
	    {"[service a]\nscript = /x.rb -v\n",
		"service a: script /x.rb: its name tells no language"},
	    {"[service a]\nscript = /x\n", "service a: script /x: its name tells no language"},
	    {"[service a]\nrun =\n", "service a: run: there is no word"},
	    {"[service a]\nscript =\n", "service a: script: there is no word"},
	    {"[service a]\nrun = /x 'y\n  z\n", "service a: run: a quote is not closed"},
	    {"[service good]\nrun = /bin/true\n[service bad]\nrun = y\n",
		"service bad: 'y' is no absolute path"},
	    {"[service a]\nrun = /nowhere/x\n", "service a: /nowhere/x: No such file or directory"},
	    {"[service a]\nrun = /usr/bin -v\n", "service a: /usr/bin: not a file"},
	    {"[service a]\nrun = /etc/passwd\n", "service a: /etc/passwd: Permission denied"},
	    {"[service a]\nscript = /nowhere/x.py\n",
		"service a: /nowhere/x.py: No such file or directory"},
	    {"[service a]\nrun = /bin/true\nwritable = x\n",
		"service a: writable: 'x' is no absolute path"},
	    {"[service a]\nrun = /bin/true\nwritable = /tmp\n  /nowhere/\n",
		"service a: writable: /nowhere/: No such file or directory"},
	    {"[service a]\nrun = /bin/true\nwritable = /nowhere/x\n",
		"service a: writable: /nowhere/x: No such file or directory"},
	};
	char *folder = unit_folder_make();

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct config config;
		struct error e;

		if (read_as_host(&config, folder, cases[i].text, &e) == 0)
			fail_msg("not refused: %s", cases[i].text);
		assert_string_equal(e.message, cases[i].message);
		config_release(&config);
	}
	unit_folder_remove(folder);
}

static void a_service_may_make_what_it_writes_to(void **state)
{
	char *folder = unit_folder_make();
	struct config config;
	struct error e;
	char text[512];

	(void)state;
	snprintf(text, sizeof(text),
	    "[service a]\nrun = /bin/true\nwritable = %s/\n  %s/conf\n\t%s/new\n", folder, folder,
	    folder);
	assert_int_equal(read_as_host(&config, folder, text, &e), 0);
	assert_int_equal(config.services[0].writable.count, 3);
	config_release(&config);
	unit_folder_remove(folder);
}

static void there_may_be_32_services_and_no_more(void **state)
{
	char *folder = unit_folder_make();
	struct config config;
	struct error e;
	char text[2048];
	size_t size = 0;

	(void)state;
	for (int i = 0; i < 32; i++)
		size += (size_t)snprintf(
		    text + size, sizeof(text) - size, "[service s%d]\nrun = /bin/true\n", i);
	assert_int_equal(read_as_host(&config, folder, text, &e), 0);
	assert_int_equal(config.service_count, 32);
	config_release(&config);
	snprintf(text + size, sizeof(text) - size, "[service more]\nscript = /x.tcl\n");
	assert_int_equal(read_as_host(&config, folder, text, &e), -1);
	assert_string_equal(e.message, "there are more than 32 services");
	config_release(&config);
	unit_folder_remove(folder);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	assert_refused(CONFIG_SERVE, "--config /nowhere/conf",
	    "configuration file /nowhere/conf: No such file or directory");
	assert_refused(CONFIG_SERVE, "--config /tmp", "configuration file /tmp: Is a directory");
}

static void the_help_shows_each_option_of_the_command(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	config_print_options(out, CONFIG_REQUEST, bindings);
	fclose(out);
	assert_non_null(strstr(text, "--root DIR"));
	assert_non_null(strstr(text, "--body FILE"));
	assert_non_null(strstr(text, "(256k)"));
	assert_null(strstr(text, "--listen"));
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		assert_in_range(strcspn(line, "\n"), 1, 100);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_not_given_has_its_default),
	    cmocka_unit_test(options_are_taken_in_both_spellings),
	    cmocka_unit_test(a_size_may_end_in_k_m_or_g),
	    cmocka_unit_test(operands_are_moved_to_the_front),
	    cmocka_unit_test(a_mistake_on_the_command_line_names_the_option),
	    cmocka_unit_test(numbers_have_their_range),
	    cmocka_unit_test(folders_must_be_there),
	    cmocka_unit_test(the_file_has_the_same_names),
	    cmocka_unit_test(the_command_line_wins_over_the_file),
	    cmocka_unit_test(a_mistake_in_the_file_names_file_and_line),
	    cmocka_unit_test(a_line_too_long_is_told_and_not_cut),
	    cmocka_unit_test(a_section_holds_for_the_extensions_it_names),
	    cmocka_unit_test(a_service_is_described_in_a_section_of_its_own),
	    cmocka_unit_test(a_service_that_could_not_be_kept_is_refused),
	    cmocka_unit_test(a_service_may_make_what_it_writes_to),
	    cmocka_unit_test(there_may_be_32_services_and_no_more),
	    cmocka_unit_test(a_file_that_cannot_be_read_is_named),
	    cmocka_unit_test(the_help_shows_each_option_of_the_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
