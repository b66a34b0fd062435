/* The packets between the front and a request process, both ends in this one process. */
#include "unit.h"

#include "base/fd.h"
#include "ipc/run_channel.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ends {
	int front, process;
};

static int make_ends(void **state)
{
	struct ends *ends = malloc(sizeof(*ends));
	int pair[2];

	assert_non_null(ends);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	*ends = (struct ends){pair[0], pair[1]};
	*state = ends;
	return 0;
}

static int close_ends(void **state)
{
	struct ends *ends = *state;

	fd_close(&ends->front);
	fd_close(&ends->process);
	free(ends);
	return 0;
}

static int file_with(const char *text)
{
	int file = fd_memory_file("unit");

	assert_int_equal(fd_write_all(file, text, strlen(text)), 0);
	return file;
}

/* The descriptor is another one now, of the same file. */
static void assert_file(int file, const char *text)
{
	char *found = unit_read(file);

	assert_string_equal(found, text);
	free(found);
}

static void an_order_arrives_with_its_files(void **state)
{
	struct ends *ends = *state;
	char first[] = "A=1", empty[] = "EMPTY=", last[] = "LAST=a=b c";
	char *environment[] = {first, empty, last, NULL};
	char *settings[] = {first, NULL, (char *)"/first:/second", (char *)""};
	struct run_order sent = {.script = "/root/x.py",
	    .settings = settings,
	    .setting_count = UNIT_COUNT(settings),
	    .environment = environment,
	    .source = file_with("source"),
	    .code = file_with("code"),
	    .body = file_with("body")};
	struct run_order order;
	void *memory;

	assert_int_equal(run_order_send(ends->front, &sent), 0);
	assert_int_equal(run_order_receive(ends->process, &order, &memory), 1);
	assert_string_equal(order.script, "/root/x.py");
	assert_int_equal(order.setting_count, 4);
	assert_string_equal(order.settings[0], "A=1");
	assert_null(order.settings[1]);
	assert_string_equal(order.settings[2], "/first:/second");
	assert_null(order.settings[3]);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(order.environment[i], environment[i]);
	assert_null(order.environment[3]);
	assert_file(order.source, "source");
	assert_file(order.code, "code");
	assert_file(order.body, "body");
	free(memory);
	fd_close(&order.source);
	fd_close(&order.code);
	fd_close(&order.body);
	fd_close(&sent.source);
	fd_close(&sent.code);
	fd_close(&sent.body);
}

static void what_an_order_lacks_is_not_there(void **state)
{
	struct ends *ends = *state;
	char *nothing[] = {NULL};
	struct run_order sent = {.script = "/x",
	    .environment = nothing,
	    .source = file_with("s"),
	    .code = -1,
	    .body = file_with("body")};
	struct run_order order;
	void *memory;

	assert_int_equal(run_order_send(ends->front, &sent), 0);
	assert_int_equal(run_order_receive(ends->process, &order, &memory), 1);
	assert_int_equal(order.setting_count, 0);
	assert_null(order.environment[0]);
	assert_int_equal(order.code, -1);
	assert_file(order.body, "body");
	free(memory);
	fd_close(&order.source);
	fd_close(&order.body);
	fd_close(&sent.body);
	sent.body = -1;
	assert_int_equal(run_order_send(ends->front, &sent), 0);
	assert_int_equal(run_order_receive(ends->process, &order, &memory), 1);
	assert_int_equal(order.body, -1);
	free(memory);
	fd_close(&order.source);
	fd_close(&sent.source);
}

struct sending {
	int channel, result;
	struct run_order *order;
};

static void *send_order(void *user)
{
	struct sending *sending = user;

	sending->result = run_order_send(sending->channel, sending->order);
	return NULL;
}

static void an_order_may_be_larger_than_any_packet(void **state)
{
	enum { COUNT = 500, SIZE = 4096 };
	struct ends *ends = *state;
	char *environment[COUNT + 1] = {NULL};
	struct run_order sent = {.script = "/x",
	    .environment = environment,
	    .source = file_with("s"),
	    .code = -1,
	    .body = -1};
	struct sending sending = {.channel = ends->front, .order = &sent};
	struct run_order order;
	pthread_t thread;
	void *memory;

	for (int i = 0; i < COUNT; i++)
		assert_int_equal(asprintf(&environment[i], "N%03d=%0*d", i, SIZE - 5, i), SIZE);
	/* It does not fit into the socket, so both must move at once. */
	assert_int_equal(pthread_create(&thread, NULL, send_order, &sending), 0);
	assert_int_equal(run_order_receive(ends->process, &order, &memory), 1);
	pthread_join(thread, NULL);
	assert_int_equal(sending.result, 0);
	for (int i = 0; i < COUNT; i++) {
		assert_string_equal(order.environment[i], environment[i]);
		free(environment[i]);
	}
	assert_null(order.environment[COUNT]);
	free(memory);
	fd_close(&order.source);
	fd_close(&sent.source);
}

static void the_end_of_either_side_is_noticed(void **state)
{
	struct ends *ends = *state;
	char *nothing[] = {NULL};
	struct run_order order = {.script = "/x",
	    .environment = nothing,
	    .source = file_with("s"),
	    .code = -1,
	    .body = -1};
	struct run_report report;
	void *memory;
	int descriptor;
	int pair[2];

	fd_close(&ends->front);
	assert_int_equal(run_order_receive(ends->process, &(struct run_order){0}, &memory), 0);
	assert_int_equal(run_report_send(ends->process, RUN_ENDED, 0, "", -1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	close(pair[1]);
	assert_int_equal(run_report_receive(pair[0], &report, &descriptor), 0);
	assert_int_equal(run_order_send(pair[0], &order), -1);
	assert_int_equal(errno, EPIPE);
	close(pair[0]);
	fd_close(&order.source);
}

static void reports_arrive_one_by_one(void **state)
{
	struct ends *ends = *state;
	int code = file_with("code");
	struct run_report report;
	int descriptor;

	assert_int_equal(run_report_receive(ends->front, &report, &descriptor), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(run_report_send(ends->process, RUN_NOTICED, 0, "json", -1), 0);
	assert_int_equal(run_report_send(ends->process, RUN_CODE, 0, "", code), 0);
	assert_int_equal(run_report_send(ends->process, RUN_DIED, -9, "", -1), 0);
	assert_int_equal(run_report_receive(ends->front, &report, &descriptor), 1);
	assert_int_equal(report.type, RUN_NOTICED);
	assert_string_equal(report.text, "json");
	assert_int_equal(descriptor, -1);
	assert_int_equal(run_report_receive(ends->front, &report, &descriptor), 1);
	assert_int_equal(report.type, RUN_CODE);
	assert_file(descriptor, "code");
	close(descriptor);
	assert_int_equal(run_report_receive(ends->front, &report, &descriptor), 1);
	assert_int_equal(report.type, RUN_DIED);
	assert_int_equal(report.value, -9);
	assert_string_equal(report.text, "");
	close(code);
}

static void a_text_too_long_is_cut_and_ended(void **state)
{
	struct ends *ends = *state;
	char text[2 * RUN_TEXT_MAX];
	struct run_report report;
	int descriptor;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(run_report_send(ends->process, RUN_NOTICED, 0, text, -1), 0);
	assert_int_equal(run_report_receive(ends->front, &report, &descriptor), 1);
	assert_int_equal(strlen(report.text), RUN_TEXT_MAX - 1);
}

/* A script can write to the channel, so the front must stand anything there. */
static void what_a_script_writes_there_is_no_report(void **state)
{
	struct ends *ends = *state;
	unsigned char junk[4096];
	struct run_report report;
	int descriptor;

	memset(junk, 'x', sizeof(junk));
	for (size_t size = 1; size <= sizeof(junk); size = size * 2 + 1) {
		assert_int_equal(send(ends->process, junk, size, 0), size);
		assert_int_equal(run_report_receive(ends->front, &report, &descriptor), 1);
		assert_true(strnlen(report.text, RUN_TEXT_MAX) < RUN_TEXT_MAX);
		if (size < 8)
			assert_int_equal(report.type, 0);
	}
}

static void files_that_no_report_needs_are_closed(void **state)
{
	struct ends *ends = *state;
	struct run_report report = {.type = RUN_CODE};
	int files[FD_PASS_MAX] = {0, 0, 0, 0};
	int next = dup(0);
	int descriptor;

	close(next);
	assert_int_equal(fd_send(ends->process, &report, sizeof(report), files, FD_PASS_MAX), 0);
	assert_int_equal(run_report_receive(ends->front, &report, &descriptor), 1);
	close(descriptor);
	/* The lowest free number is what it was before. */
	assert_int_equal(dup(0), next);
	close(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(an_order_arrives_with_its_files, make_ends, close_ends),
	    cmocka_unit_test_setup_teardown(
		what_an_order_lacks_is_not_there, make_ends, close_ends),
	    cmocka_unit_test_setup_teardown(
		an_order_may_be_larger_than_any_packet, make_ends, close_ends),
	    cmocka_unit_test_setup_teardown(
		the_end_of_either_side_is_noticed, make_ends, close_ends),
	    cmocka_unit_test_setup_teardown(reports_arrive_one_by_one, make_ends, close_ends),
	    cmocka_unit_test_setup_teardown(
		a_text_too_long_is_cut_and_ended, make_ends, close_ends),
	    cmocka_unit_test_setup_teardown(
		what_a_script_writes_there_is_no_report, make_ends, close_ends),
	    cmocka_unit_test_setup_teardown(
		files_that_no_report_needs_are_closed, make_ends, close_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
