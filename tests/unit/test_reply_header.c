/* The header block of a script's reply: what passes, in which order it leaves, what is refused. */
#include "unit.h"

#include "error.h"
#include "reply_header.h"

#include <stdlib.h>
#include <string.h>

/* Read a block that must pass, and compare the lines that leave. */
static void assert_read(const char *block, const char *text, int status, int64_t length)
{
	struct reply_header h;
	struct error e = {""};

	if (reply_header_read(&h, block, strlen(block), &e) < 0)
		fail_msg("%s", e.message);
	assert_string_equal(buffer_string(&h.text), text);
	assert_int_equal(h.status, status);
	assert_int_equal(h.length, length);
	reply_header_release(&h);
}

static void assert_refused_size(const char *block, size_t size, const char *reason)
{
	struct reply_header h;
	struct error e = {""};

	if (reply_header_read(&h, block, size, &e) == 0)
		fail_msg("not refused: %s", block);
	if (strstr(e.message, reason) == NULL)
		fail_msg("'%s' does not say '%s'", e.message, reason);
	reply_header_release(&h);
}

static void assert_refused(const char *block, const char *reason)
{
	assert_refused_size(block, strlen(block), reason);
}

/* A block of one line of this size. The caller frees it. */
static char *block_with_line(size_t size)
{
	char *block = malloc(size + 3);

	assert_non_null(block);
	memset(block, 'x', size);
	memcpy(block, "A: ", 3);
	strcpy(block + size, "\n\n");
	return block;
}

static void the_end_is_behind_the_first_empty_line(void **state)
{
	static const struct {
		const char *data;
		size_t end;
	} cases[] = {{"", 0}, {"A: b", 0}, {"A: b\n", 0}, {"A: b\r\n", 0}, {"A: b\r\n\r", 0},
	    {"A: b\n\n", 6}, {"A: b\n\nbody\n\n", 6}, {"A: b\r\n\r\n", 8}, {"A: b\n\r\nx", 7},
	    {"\nbody", 1}, {"\r\n", 2}, {"A: b\n \n\n", 8}, {"A: b\n\r\r\n\n", 9}};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		assert_int_equal(
		    reply_header_end(cases[i].data, strlen(cases[i].data)), cases[i].end);
}

static void lines_leave_in_their_order_ended_by_lf(void **state)
{
	(void)state;
	assert_read("Content-Type: text/html\r\nSet-Cookie: a=1\nSet-Cookie: b=2\r\n\r\n",
	    "Content-Type: text/html\nSet-Cookie: a=1\nSet-Cookie: b=2\n\n", 200, -1);
}

static void location_goes_last_and_alone_means_302(void **state)
{
	(void)state;
	assert_read(
	    "LOCATION: /x\nSet-Cookie: a=b\n\n", "Set-Cookie: a=b\nLOCATION: /x\n\n", 302, -1);
	assert_read("Location: /x\nStatus: 201 Created\n\n",
	    "Status: 201 Created\nLocation: /x\n\n", 201, -1);
}

static void the_status_is_three_digits_and_perhaps_a_reason(void **state)
{
	static const char *const bad[] = {
	    "", "4", "40", "abc", "404x", "4040", "099", "600", "-04"};

	(void)state;
	assert_read("Status: 404\n\n", "Status: 404\n\n", 404, -1);
	assert_read("status:503 Busy: try later\n\n", "status:503 Busy: try later\n\n", 503, -1);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		char block[64] = "Status: ";

		assert_refused(strcat(strcat(block, bad[i]), "\n\n"), "line 1 is no status");
	}
}

static void the_content_length_is_a_number_of_bytes(void **state)
{
	static const char *const bad[] = {
	    "", "-1", "+1", "1x", "x", "0x10", "1 2", "99999999999999999999"};

	(void)state;
	assert_read("Content-Length: 0\n\n", "Content-Length: 0\n\n", 200, 0);
	assert_read("content-length:\t4096\n\n", "content-length:\t4096\n\n", 200, 4096);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		char block[64] = "Content-Length: ";

		assert_refused(
		    strcat(strcat(block, bad[i]), "\n\n"), "line 1 is no number of bytes");
	}
}

static void a_line_must_be_a_name_and_a_value(void **state)
{
	static const char *const bad[] = {"hello", ": value", "A B: c", "A : c", " folded: x",
	    "\tx: y", "A(b): c", "A\x01: b", "\xc3\xa4: b", "<html>"};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		char block[64] = "Good: 1\n";

		assert_refused(
		    strcat(strcat(block, bad[i]), "\n\n"), "line 2 is not 'Name: value'");
	}
	assert_read(
	    "X_a-b.c!#$%&'*+^`|~9: v\nEmpty:\n\n", "X_a-b.c!#$%&'*+^`|~9: v\nEmpty:\n\n", 200, -1);
}

static void a_value_has_no_control_character_but_tab(void **state)
{
	(void)state;
	assert_refused("A: b\rSet-Cookie: evil\n\n", "control character");
	assert_refused("A: b\x1b[0m\n\n", "control character");
	assert_refused("A: b\x7f\n\n", "control character");
	assert_refused_size("A: \0\n\n", 6, "control character");
	assert_read("A: b\tc \xc3\xa4\xff\n\n", "A: b\tc \xc3\xa4\xff\n\n", 200, -1);
}

static void a_line_holds_998_bytes_and_no_more(void **state)
{
	char *good = block_with_line(998);
	char *long_line = block_with_line(999);

	(void)state;
	assert_read(good, good, 200, -1);
	assert_refused(long_line, "998");
	free(good);
	free(long_line);
}

static void a_block_without_lines_is_refused(void **state)
{
	(void)state;
	assert_refused("\n", "empty");
	assert_refused("\r\n", "empty");
}

static void a_block_beyond_64_kib_is_refused(void **state)
{
	size_t size = REPLY_HEADER_MAX + 1;
	char *block = malloc(size + 1);

	(void)state;
	assert_non_null(block);
	for (size_t i = 0; i < size; i++)
		block[i] = "A: b\n"[i % 5];
	strcpy(block + size - 1, "\n");
	assert_refused(block, "longer than 65536");
	free(block);
}

static void assert_streams(const char *block, bool streams)
{
	struct reply_header h;
	struct error e = {""};

	assert_int_equal(reply_header_read(&h, block, strlen(block), &e), 0);
	if (h.streams != streams)
		fail_msg("%s: %s", streams ? "is held back" : "is not held back", block);
	reply_header_release(&h);
}

static void server_sent_events_and_a_header_of_nginx_ask_to_stream(void **state)
{
	(void)state;
	assert_streams("Content-Type: text/event-stream\n\n", true);
	assert_streams("content-type:TEXT/Event-Stream; charset=utf-8\n\n", true);
	assert_streams("Content-Type: text/event-stream;charset=utf-8\nA: b\n\n", true);
	assert_streams("Content-Type: text/html\nX-Accel-Buffering: no\n\n", true);
	assert_streams("x-accel-buffering: No \nContent-Type: text/html\n\n", true);
	assert_streams("Content-Type: text/html\n\n", false);
	assert_streams("Content-Type: text/event-streams\n\n", false);
	assert_streams("Content-Type: text/plain; text/event-stream\n\n", false);
	assert_streams("Content-Type: text/html\nX-Accel-Buffering: yes\n\n", false);
	assert_streams("Content-Type: text/html\nX-Accel-Buffering: none\n\n", false);
	assert_streams("Content-Type: text/html\nX-Accel-Buffering:\n\n", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_end_is_behind_the_first_empty_line),
	    cmocka_unit_test(lines_leave_in_their_order_ended_by_lf),
	    cmocka_unit_test(location_goes_last_and_alone_means_302),
	    cmocka_unit_test(the_status_is_three_digits_and_perhaps_a_reason),
	    cmocka_unit_test(the_content_length_is_a_number_of_bytes),
	    cmocka_unit_test(server_sent_events_and_a_header_of_nginx_ask_to_stream),
	    cmocka_unit_test(a_line_must_be_a_name_and_a_value),
	    cmocka_unit_test(a_value_has_no_control_character_but_tab),
	    cmocka_unit_test(a_line_holds_998_bytes_and_no_more),
	    cmocka_unit_test(a_block_without_lines_is_refused),
	    cmocka_unit_test(a_block_beyond_64_kib_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
