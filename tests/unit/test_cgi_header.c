/* The header block of a script's reply: what passes, in which order it leaves, what is refused. */
#include "unit.h"

#include "base/error.h"
#include "request/cgi_header.h"

#include <stdlib.h>
#include <string.h>

static void assert_read_for(
    enum cgi_header_peer peer, const char *block, const char *text, int status, int64_t length)
{
	struct cgi_header h;
	struct error e = {""};

	if (cgi_header_read(&h, peer, block, strlen(block), &e) < 0)
		fail_msg("%s", e.message);
	assert_string_equal(buffer_string(&h.text), text);
	assert_int_equal(h.status, status);
	assert_int_equal(h.length, length);
	cgi_header_release(&h);
}

/* Read a block that must pass, and compare the lines that leave. For Fossil, unless told. */
static void assert_read(const char *block, const char *text, int status, int64_t length)
{
	assert_read_for(REPLY_FOR_FOSSIL, block, text, status, length);
}

static void assert_read_for_web(const char *block, const char *text, int status, int64_t length)
{
	assert_read_for(REPLY_FOR_WEB_SERVER, block, text, status, length);
}

static void assert_refused_for(
    enum cgi_header_peer peer, const char *block, size_t size, const char *reason)
{
	struct cgi_header h;
	struct error e = {""};

	if (cgi_header_read(&h, peer, block, size, &e) == 0)
		fail_msg("not refused: %s", block);
	if (strstr(e.message, reason) == NULL)
		fail_msg("'%s' does not say '%s'", e.message, reason);
	cgi_header_release(&h);
}

static void assert_refused_size(const char *block, size_t size, const char *reason)
{
	assert_refused_for(REPLY_FOR_FOSSIL, block, size, reason);
	assert_refused_for(REPLY_FOR_WEB_SERVER, block, size, reason);
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
		    cgi_header_end(cases[i].data, strlen(cases[i].data)), cases[i].end);
}

static const char mixed[] = "Content-Type: text/html\r\nX: 1\nSet-Cookie: b=2\r\n\r\n";

static void lines_leave_for_fossil_in_their_order_ended_by_lf_and_as_many_as_came(void **state)
{
	(void)state;
	assert_read(mixed, "Content-Type: text/html\nX: 1\nSet-Cookie: b=2\n\n", 200, -1);
}

static void lines_leave_for_a_web_server_ended_by_cr_lf_behind_a_status(void **state)
{
	(void)state;
	assert_read_for_web(mixed,
	    "Status: 200 OK\r\nContent-Type: text/html\r\nX: 1\r\nSet-Cookie: b=2\r\n\r\n", 200,
	    -1);
	assert_read_for_web("X: 1\nLocation: /x\nY: 2\n\n",
	    "Status: 302 Found\r\nX: 1\r\nY: 2\r\nLocation: /x\r\n\r\n", 302, -1);
	assert_read_for_web("X: 1\nstatus: 201\nLocation: /x\n\n",
	    "Status: 201 Created\r\nX: 1\r\nLocation: /x\r\n\r\n", 201, -1);
}

static void location_goes_last_and_alone_means_302(void **state)
{
	(void)state;
	assert_read(
	    "LOCATION: /x\nSet-Cookie: a=b\n\n", "Set-Cookie: a=b\nLOCATION: /x\n\n", 302, -1);
	assert_read("Location: /x\nStatus: 201 Created\n\n",
	    "Status: 201 Created\nLocation: /x\n\n", 201, -1);
}

static void the_status_is_three_digits_and_perhaps_a_reason_and_goes_first(void **state)
{
	static const char *const bad[] = {
	    "", "4", "40", "abc", "404x", "4040", "099", "600", "-04"};

	(void)state;
	assert_read("Status: 404\n\n", "Status: 404 Not Found\n\n", 404, -1);
	assert_read("Status: 404 \t\n\n", "Status: 404 Not Found\n\n", 404, -1);
	assert_read("A: b\nStatus:599\n\n", "Status: 599 Internal Server Error\nA: b\n\n", 599, -1);
	assert_read("A: b\nstatus:503 Busy: try later\n\n", "status:503 Busy: try later\nA: b\n\n",
	    503, -1);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		char block[64] = "Status: ";

		assert_refused(strcat(strcat(block, bad[i]), "\n\n"), "line 1 is no status");
	}
}

static void an_interim_status_is_refused(void **state)
{
	static const char *const interim[] = {"100", "101 Switching Protocols", "103", "199"};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(interim); i++) {
		char block[64] = "A: b\nStatus: ";

		assert_refused(strcat(strcat(block, interim[i]), "\n\n"), "line 2 is an interim");
	}
}

static void a_second_status_or_location_is_refused(void **state)
{
	(void)state;
	assert_refused("Status: 200 OK\nStatus: 200 OK\n\n", "line 2 is a second Status");
	assert_refused("Status: 200\nA: b\nStatus: 404\n\n", "line 3 is a second Status");
	assert_refused("Location: /\nLocation: /\n\n", "line 2 is a second Location");
}

static void every_status_has_a_reason(void **state)
{
	(void)state;
	for (int status = -1; status <= 1000; status++)
		assert_true(strlen(cgi_header_reason(status)) > 0);
	assert_string_equal(cgi_header_reason(200), "OK");
	assert_string_equal(cgi_header_reason(404), "Not Found");
	assert_string_equal(cgi_header_reason(451), "Unavailable For Legal Reasons");
	assert_string_equal(cgi_header_reason(511), "Network Authentication Required");
	assert_string_equal(cgi_header_reason(299), "OK");
	assert_string_equal(cgi_header_reason(499), "Bad Request");
	assert_string_equal(cgi_header_reason(600), "Error");
}

static void the_content_length_is_a_number_of_bytes(void **state)
{
	static const char *const bad[] = {
	    "", "-1", "+1", "1x", "x", "0x10", "1 2", "99999999999999999999"};

	(void)state;
	assert_read("Content-Length: 0\n\n", "Content-Length: 0\n\n", 200, 0);
	assert_read("content-length:\t4096 \n\n", "content-length:\t4096 \n\n", 200, 4096);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		char block[64] = "Content-Length: ";

		assert_refused(
		    strcat(strcat(block, bad[i]), "\n\n"), "line 1 is no number of bytes");
	}
}

static void the_same_content_length_twice_is_one_and_another_one_is_refused(void **state)
{
	(void)state;
	assert_read("Content-Length: 7\nA: b\ncontent-length: 07\n\n",
	    "A: b\ncontent-length: 07\n\n", 200, 7);
	assert_read("Content-Length: 0\nContent-Length: 0\n\n", "Content-Length: 0\n\n", 200, 0);
	assert_refused(
	    "Content-Length: 7\nContent-Length: 8\n\n", "line 2 is a second Content-Length");
	assert_refused(
	    "Content-Length: 0\nContent-Length: 8\n\n", "line 2 is a second Content-Length");
	assert_refused("Content-Length: 7, 7\n\n", "line 1 is no number of bytes");
}

static void no_content_has_no_length_and_not_modified_may_have_one(void **state)
{
	(void)state;
	assert_read_for_web(
	    "Content-Length: 5\nStatus: 204\n\n", "Status: 204 No Content\r\n\r\n", 204, -1);
	assert_read_for_web("Content-Length: 5\nStatus: 304\n\n",
	    "Status: 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, 5);
}

static void a_transfer_coding_is_refused_and_what_else_is_the_connections_left_out(void **state)
{
	static const char *const names[] = {
	    "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade"};

	(void)state;
	assert_refused("A: b\ntransfer-encoding: chunked\n\n", "line 2 is for the web server");
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		struct cgi_header h;
		struct error e;
		char block[64] = "A: b\n";

		strcat(strcat(block, names[i]), ": x\nC: d\nKeep-Alive: y\n\n");
		assert_int_equal(
		    cgi_header_read(&h, REPLY_FOR_FOSSIL, block, strlen(block), &e), 0);
		assert_string_equal(buffer_string(&h.text), "A: b\nC: d\n\n");
		assert_string_equal(h.dropped, names[i]);
		cgi_header_release(&h);
	}
	assert_read("TEA: b\nConnections: 1\n\n", "TEA: b\nConnections: 1\n\n", 200, -1);
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

static void a_line_for_fossil_holds_998_bytes_and_no_more(void **state)
{
	char *good = block_with_line(998);
	char *long_line = block_with_line(999);

	(void)state;
	assert_read(good, good, 200, -1);
	assert_refused_for(REPLY_FOR_FOSSIL, long_line, strlen(long_line), "longer than 998");
	free(good);
	free(long_line);
}

static void a_line_for_a_web_server_holds_8_kib_and_no_more(void **state)
{
	char *good = block_with_line(8192);
	char *long_line = block_with_line(8193);
	struct cgi_header h;
	struct error e;

	(void)state;
	assert_int_equal(cgi_header_read(&h, REPLY_FOR_WEB_SERVER, good, strlen(good), &e), 0);
	assert_int_equal(h.text.size, strlen("Status: 200 OK\r\n") + 8192 + strlen("\r\n\r\n"));
	cgi_header_release(&h);
	assert_refused_for(REPLY_FOR_WEB_SERVER, long_line, strlen(long_line), "longer than 8192");
	free(good);
	free(long_line);
}

static void a_block_without_lines_is_refused(void **state)
{
	(void)state;
	assert_refused("\n", "empty");
	assert_refused("\r\n", "empty");
}

/* Of so many bytes, in lines of ten, the last one longer. The caller frees it. */
static char *block_of(size_t size)
{
	char *block = malloc(size + 1);

	assert_non_null(block);
	for (size_t i = 0; i < size; i++)
		block[i] = i < size - size % 10 ? "X: 34567\r\n"[i % 10] : 'x';
	if (size % 10 > 0)
		block[size - size % 10 - 2] = block[size - size % 10 - 1] = 'x';
	strcpy(block + size - 4, "\r\n\r\n");
	return block;
}

static void a_block_for_fossil_has_64_kib_and_no_more(void **state)
{
	char *block = block_of(65537);
	struct cgi_header h;
	struct error e;

	(void)state;
	assert_refused_for(REPLY_FOR_FOSSIL, block, 65537, "longer than 65536");
	free(block);
	block = block_of(65536);
	assert_int_equal(cgi_header_most(REPLY_FOR_FOSSIL), 65536);
	assert_int_equal(cgi_header_read(&h, REPLY_FOR_FOSSIL, block, 65536, &e), 0);
	cgi_header_release(&h);
	assert_refused_for(REPLY_FOR_WEB_SERVER, block, 65536, "longer than 32760");
	free(block);
}

static void a_block_for_a_web_server_has_32_kib_as_it_leaves_and_no_more(void **state)
{
	size_t room = CGI_HEADER_BLOCK_MAX - strlen("Status: 200 OK\r\n");
	struct cgi_header h;
	struct error e;
	char *block = block_of(room);

	(void)state;
	if (cgi_header_read(&h, REPLY_FOR_WEB_SERVER, block, room, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(h.text.size, CGI_HEADER_BLOCK_MAX);
	cgi_header_release(&h);
	free(block);
	block = block_of(room + 1);
	assert_refused_for(REPLY_FOR_WEB_SERVER, block, room + 1, "longer than 32760");
	free(block);
}

static void assert_streams(const char *block, bool streams)
{
	struct cgi_header h;
	struct error e = {""};

	assert_int_equal(cgi_header_read(&h, REPLY_FOR_WEB_SERVER, block, strlen(block), &e), 0);
	if (h.streams != streams)
		fail_msg("%s: %s", streams ? "is held back" : "is not held back", block);
	cgi_header_release(&h);
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
	    cmocka_unit_test(lines_leave_for_fossil_in_their_order_ended_by_lf_and_as_many_as_came),
	    cmocka_unit_test(lines_leave_for_a_web_server_ended_by_cr_lf_behind_a_status),
	    cmocka_unit_test(location_goes_last_and_alone_means_302),
	    cmocka_unit_test(the_status_is_three_digits_and_perhaps_a_reason_and_goes_first),
	    cmocka_unit_test(an_interim_status_is_refused),
	    cmocka_unit_test(a_second_status_or_location_is_refused),
	    cmocka_unit_test(every_status_has_a_reason),
	    cmocka_unit_test(the_content_length_is_a_number_of_bytes),
	    cmocka_unit_test(the_same_content_length_twice_is_one_and_another_one_is_refused),
	    cmocka_unit_test(no_content_has_no_length_and_not_modified_may_have_one),
	    cmocka_unit_test(
		a_transfer_coding_is_refused_and_what_else_is_the_connections_left_out),
	    cmocka_unit_test(a_line_must_be_a_name_and_a_value),
	    cmocka_unit_test(a_value_has_no_control_character_but_tab),
	    cmocka_unit_test(a_line_for_fossil_holds_998_bytes_and_no_more),
	    cmocka_unit_test(a_line_for_a_web_server_holds_8_kib_and_no_more),
	    cmocka_unit_test(a_block_without_lines_is_refused),
	    cmocka_unit_test(a_block_for_fossil_has_64_kib_and_no_more),
	    cmocka_unit_test(a_block_for_a_web_server_has_32_kib_as_it_leaves_and_no_more),
	    cmocka_unit_test(server_sent_events_and_a_header_of_nginx_ask_to_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
