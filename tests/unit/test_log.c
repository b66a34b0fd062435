/* Log lines: their shape in text and JSON, what is escaped, where they are cut. */
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ID "0123456789abcdef"

static struct log log_make(bool json)
{
	return (struct log){.fd = fd_memory_file("unit"), .json = json, .least = LEVEL_INFO};
}

/* The one line that was written, behind its time. The caller frees it, and the log ends. */
static char *log_take(struct log *log)
{
	char *text = unit_read(log->fd);
	size_t skip = log->json ? strlen("{\"time\":\"2026-11-24T10:00:00.123Z\",") : 25;
	char *line;

	fd_close(&log->fd);
	assert_true(strlen(text) > skip);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	text[strlen(text) - 1] = '\0';
	line = strdup(text + skip);
	assert_non_null(line);
	free(text);
	return line;
}

/* A message as the host logs it. */
static char *message_line(bool json, const char *message, size_t size)
{
	struct log log = log_make(json);
	struct log_line line;

	log_begin(&line, &log, LEVEL_INFO, NULL, message, size);
	log_end(&line);
	return log_take(&log);
}

static void assert_message(bool json, const char *message, const char *wanted)
{
	char *line = message_line(json, message, strlen(message));

	assert_string_equal(line, wanted);
	free(line);
}

static void write_fields(struct log *log)
{
	struct log_line line;

	log_begin(&line, log, LEVEL_WARNING, ID, "GET /x", 6);
	log_number(&line, "status", -7);
	log_milliseconds(&line, "ms", 1234567);
	log_string(&line, "script", "hello.py");
	log_string(&line, "reason", "a \"b\" \\ c");
	log_string(&line, "user", "");
	log_end(&line);
}

static void a_text_line_has_time_level_request_message_and_fields(void **state)
{
	struct log log = log_make(false);
	char *line;

	(void)state;
	write_fields(&log);
	line = log_take(&log);
	assert_string_equal(line, "warning [" ID "] GET /x status=-7 ms=1.235 script=hello.py "
				  "reason=\"a \\\"b\\\" \\\\ c\" user=\"\"");
	free(line);
}

static void a_json_line_has_the_same(void **state)
{
	struct log log = log_make(true);
	char *line;

	(void)state;
	write_fields(&log);
	line = log_take(&log);
	assert_string_equal(line,
	    "\"level\":\"warning\",\"request\":\"" ID "\",\"message\":\"GET /x\",\"status\":-7,"
	    "\"ms\":1.235,\"script\":\"hello.py\",\"reason\":\"a \\\"b\\\" \\\\ "
	    "c\",\"user\":\"\"}");
	free(line);
}

static void the_time_is_utc_with_milliseconds(void **state)
{
	struct log log = log_make(false);
	int parts[7];
	char *text;

	(void)state;
	log_message(&log, LEVEL_ERROR, "%s %d", "number", 5);
	text = unit_read(log.fd);
	assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ error", &parts[0], &parts[1],
			     &parts[2], &parts[3], &parts[4], &parts[5], &parts[6]),
	    7);
	assert_string_equal(text + 24, " error number 5\n");
	free(text);
	fd_close(&log.fd);
}

static void a_line_below_the_level_is_not_written(void **state)
{
	struct log log = log_make(false);
	struct log_line line;

	(void)state;
	log_message(&log, LEVEL_DEBUG, "quiet");
	log_begin(&line, &log, LEVEL_DEBUG, ID, "quiet", 5);
	log_string(&line, "a", "b");
	log_number(&line, "c", 1);
	log_end(&line);
	assert_int_equal(lseek(log.fd, 0, SEEK_END), 0);
	fd_close(&log.fd);
}

static void control_characters_never_leave_as_they_are(void **state)
{
	(void)state;
	assert_message(false, "a\nb\r\x1b[0m\x7f\tc", "info a\\x0ab\\x0d\\x1b[0m\\x7f\tc");
	assert_message(true, "a\nb\r\x1b\x7f\t\"\\",
	    "\"level\":\"info\",\"message\":\"a\\u000ab\\u000d\\u001b\\u007f\\u0009\\\"\\\\\"}");
}

static void only_good_utf_8_passes(void **state)
{
	(void)state;
	assert_message(true, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
	    "\"level\":\"info\",\"message\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}");
	assert_message(true, "\xff|\xc3|\xc0\xaf|\xed\xa0\x80",
	    "\"level\":\"info\",\"message\":\"\\ufffd|\\ufffd|\\ufffd\\ufffd|"
	    "\\ufffd\\ufffd\\ufffd\"}");
	assert_message(false, "\xc3\xa4\xff|\xe2\x82", "info \xc3\xa4\\xff|\\xe2\\x82");
}

static void a_nul_in_a_message_is_escaped_too(void **state)
{
	char *line = message_line(false, "a\0b", 3);

	(void)state;
	assert_string_equal(line, "info a\\x00b");
	free(line);
}

/* JSON enough for our lines: a flat object of strings and numbers, each string well-formed. */
static bool is_json(const char *at)
{
	static const char escapes[] = "\"\\/bfnrtu";

	while (*at != '}') {
		if (*at != '"') {
			at++;
			continue;
		}
		for (at++; *at != '"'; at++) {
			if ((unsigned char)*at < 0x20)
				return false;
			if (*at == '\\' && (at[1] == '\0' || strchr(escapes, at[1]) == NULL))
				return false;
			if (*at == '\\' && at[1] == 'u' && strspn(at + 2, "0123456789abcdef") < 4)
				return false;
			at += *at == '\\';
		}
		at++;
		if (*at == '\0')
			return false;
	}
	return at[1] == '\0';
}

static void a_long_line_is_cut_with_dots(void **state)
{
	char message[2 * LOG_LINE_MAX];
	char *line;

	(void)state;
	memset(message, 'x', sizeof(message));
	line = message_line(false, message, sizeof(message));
	assert_in_range(strlen(line), LOG_LINE_MAX - 100, LOG_LINE_MAX);
	assert_string_equal(line + strlen(line) - 4, "x...");
	free(line);
	line = message_line(true, message, sizeof(message));
	assert_true(is_json(line));
	assert_string_equal(line + strlen(line) - 6, "x...\"}");
	free(line);
}

/* Wherever the cut falls: within an escape, within a character, in a message or in a field. */
static void a_cut_line_is_still_json(void **state)
{
	static const char *const units[] = {
	    "x", "\n", "\"", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xff"};
	char text[2 * LOG_LINE_MAX];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(units) * 8; i++) {
		const char *unit = units[i / 8];
		size_t size = i % 8;
		struct log log = log_make(true);
		struct log_line line;
		char *message, *field;

		memset(text, 'x', size);
		while (size + strlen(unit) < sizeof(text))
			size = (size_t)(stpcpy(text + size, unit) - text);
		message = message_line(true, text, size);
		log_begin(&line, &log, LEVEL_INFO, ID, "m", 1);
		log_string(&line, "field", text);
		log_string(&line, "more", "that may not fit");
		log_number(&line, "number", 12345);
		log_end(&line);
		field = log_take(&log);
		if (!is_json(message) || !is_json(field))
			fail_msg("no JSON at the cut, unit %zu, shift %zu: ...%s ...%s", i / 8,
			    i % 8, message + strlen(message) - 16, field + strlen(field) - 16);
		assert_in_range(strlen(message), 0, LOG_LINE_MAX);
		free(message);
		free(field);
	}
}

static void assert_file_ends(const char *path, const char *end)
{
	FD_OWNED int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;

	assert_true(fd >= 0);
	text = unit_read(fd);
	assert_true(strlen(text) >= strlen(end));
	assert_string_equal(text + strlen(text) - strlen(end), end);
	free(text);
}

static void a_log_file_is_appended_to_and_opened_again(void **state)
{
	char *folder = unit_folder_make();
	char *path = unit_path(folder, "log");
	char *old = unit_path(folder, "old");
	struct log log = {.least = LEVEL_INFO};
	struct error e;
	char *given;
	int number;

	(void)state;
	unit_file_write(folder, "log", "before", 0644);
	given = strdup(path);
	assert_int_equal(log_open(&log, given, &e), 0);
	free(given); /* it has a copy: the configuration goes with the next reload */
	number = log.fd;
	assert_file_ends(path, "before");
	assert_int_equal(rename(path, old), 0);
	log_message(&log, LEVEL_INFO, "one");
	assert_int_equal(log_reopen(&log, &e), 0);
	assert_int_equal(log.fd, number);
	log_message(&log, LEVEL_INFO, "two");
	assert_file_ends(old, " info one\n");
	assert_file_ends(path, " info two\n");
	log_release(&log);
	assert_int_equal(log.fd, -1);
	free(path);
	free(old);
	unit_folder_remove(folder);
}

static void a_log_that_cannot_be_opened_is_told(void **state)
{
	struct log log = {0};
	struct error e;

	(void)state;
	assert_int_equal(log_open(&log, "/nowhere/log", &e), -1);
	assert_string_equal(e.message, "open log /nowhere/log: No such file or directory");
}

/* A log that is a pipe, which holds a page and has not been read. */
static struct log pipe_log(int *reader)
{
	struct log log = {.least = LEVEL_INFO, .lost = calloc(1, sizeof(*log.lost))};
	int ends[2];

	assert_non_null(log.lost);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 0);
	*reader = ends[0];
	log.fd = ends[1];
	return log;
}

/* Fill it to the last byte that a line could need. */
static void fill(const struct log *log)
{
	char bytes[16] = {0};

	while (write(log->fd, bytes, sizeof(bytes)) > 0)
		;
	while (write(log->fd, bytes, 1) > 0)
		;
}

/* What can be read, as a string behind what fill has left there. The caller frees it. */
static char *drain(int reader)
{
	char *text = calloc(1, 65536);
	ssize_t n;
	size_t size = 0, zeros;

	assert_non_null(text);
	while ((n = read(reader, text + size, 65535 - size)) > 0)
		size += (size_t)n;
	for (zeros = 0; zeros < size && text[zeros] == '\0'; zeros++)
		;
	memmove(text, text + zeros, size - zeros + 1);
	return text;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static void lines_that_are_lost_are_counted_and_told_when_the_log_takes_lines_again(void **state)
{
	int reader;
	struct log log = pipe_log(&reader);
	char *text;

	(void)state;
	fill(&log);
	for (int i = 0; i < 3; i++)
		log_message(&log, LEVEL_INFO, "lost %d", i);
	free(drain(reader));
	log_message(&log, LEVEL_INFO, "first");
	log_message(&log, LEVEL_INFO, "second");
	text = drain(reader);
	assert_int_equal(count_lines(text), 3);
	assert_non_null(strstr(text, " info first\n"));
	assert_non_null(
	    strstr(text, " warning 3 lines before this could not be written to the log\n"));
	assert_non_null(strstr(text, " info second\n"));
	assert_null(strstr(text, "lost "));
	free(text);
	/* And once only. */
	log_message(&log, LEVEL_INFO, "third");
	text = drain(reader);
	assert_int_equal(count_lines(text), 1);
	free(text);
	close(reader);
	fd_close(&log.fd);
	free(log.lost);
}

static void a_log_that_loses_nothing_says_nothing_of_it(void **state)
{
	int reader;
	struct log log = pipe_log(&reader);
	char *text;

	(void)state;
	log_message(&log, LEVEL_INFO, "first");
	text = drain(reader);
	assert_int_equal(count_lines(text), 1);
	free(text);
	close(reader);
	fd_close(&log.fd);
	free(log.lost);
}

/* As a worker with a socket of its own has it: lines are gathered, and lost together. */
static void gathered_lines_that_are_lost_are_counted_one_by_one(void **state)
{
	int reader;
	struct log log = pipe_log(&reader);
	char *text;

	(void)state;
	log.gather = calloc(1, sizeof(*log.gather));
	assert_non_null(log.gather);
	fill(&log);
	for (int i = 0; i < 7; i++)
		log_message(&log, LEVEL_INFO, "lost %d", i);
	log_flush(&log);
	free(drain(reader));
	log_message(&log, LEVEL_INFO, "first");
	log_flush(&log);
	log_flush(&log);
	text = drain(reader);
	assert_int_equal(count_lines(text), 2);
	assert_non_null(strstr(text, " info first\n"));
	assert_non_null(
	    strstr(text, " warning 7 lines before this could not be written to the log\n"));
	free(text);
	close(reader);
	fd_close(&log.fd);
	free(log.lost);
	free(log.gather);
}

static void of_gathered_lines_that_are_written_in_part_only_the_rest_is_lost(void **state)
{
	int reader, lines = 0;
	struct log log = pipe_log(&reader);
	char *text, told[64];
	size_t written;

	(void)state;
	log.gather = calloc(1, sizeof(*log.gather));
	assert_non_null(log.gather);
	/* More than the pipe holds, and less than would be flushed before its time. */
	while (atomic_load(&log.gather->size) < 8192)
		log_message(&log, LEVEL_INFO, "line %d", lines++);
	log_flush(&log);
	text = drain(reader);
	written = count_lines(text);
	free(text);
	assert_true(written > 0);
	assert_true(written < (size_t)lines);
	log_message(&log, LEVEL_INFO, "first");
	log_flush(&log);
	log_flush(&log);
	text = drain(reader);
	snprintf(told, sizeof(told), " warning %zu lines before this ", (size_t)lines - written);
	assert_non_null(strstr(text, told));
	free(text);
	close(reader);
	fd_close(&log.fd);
	free(log.lost);
	free(log.gather);
}

/*
 * What does not fit any more is written, and the place is free: nothing is lost, and the order is
 * kept.
 */
static void a_flood_of_gathered_lines_is_written_whole_and_in_order(void **state)
{
	struct log log = log_make(false);
	char *text, *at;

	(void)state;
	log.gather = calloc(1, sizeof(*log.gather));
	assert_non_null(log.gather);
	for (int i = 0; i < 2000; i++)
		log_message(&log, LEVEL_INFO, "line %04d of many", i);
	log_flush(&log);
	text = at = unit_read(log.fd);
	assert_int_equal(count_lines(text), 2000);
	for (int i = 0; i < 2000; i++) {
		char wanted[32];

		snprintf(wanted, sizeof(wanted), " info line %04d of many\n", i);
		at = strstr(at, wanted);
		assert_non_null(at);
	}
	free(text);
	free(log.gather);
	fd_close(&log.fd);
}

static void gathered_lines_wait_for_a_flush(void **state)
{
	struct log log = log_make(false);
	char *text;

	(void)state;
	log.gather = calloc(1, sizeof(*log.gather));
	assert_non_null(log.gather);
	log_message(&log, LEVEL_INFO, "line");
	assert_int_equal(lseek(log.fd, 0, SEEK_END), 0);
	log_flush(&log);
	text = unit_read(log.fd);
	assert_int_equal(count_lines(text), 1);
	free(text);
	free(log.gather);
	fd_close(&log.fd);
}

static int64_t clock_offset; /* seconds */

/* In the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_REALTIME && clock_offset != 0)
		*now = (struct timespec){.tv_sec = clock_offset, .tv_nsec = 5000000};
	return result;
}

/* The text of a second is kept for the lines of that second, and for no other. */
static void gathered_lines_have_each_the_time_at_which_they_were_written(void **state)
{
	static const int64_t seconds[] = {
	    1000000000, 1000000000, 1000000001, 1000000060, 999999999};
	static const char *const times[] = {"2001-09-09T01:46:40.005Z", "2001-09-09T01:46:40.005Z",
	    "2001-09-09T01:46:41.005Z", "2001-09-09T01:47:40.005Z", "2001-09-09T01:46:39.005Z"};
	struct log log = log_make(false);
	char *text, *at;

	(void)state;
	log.gather = calloc(1, sizeof(*log.gather));
	assert_non_null(log.gather);
	for (size_t i = 0; i < UNIT_COUNT(seconds); i++) {
		clock_offset = seconds[i];
		log_message(&log, LEVEL_INFO, "line");
	}
	clock_offset = 0;
	log_flush(&log);
	text = at = unit_read(log.fd);
	for (size_t i = 0; i < UNIT_COUNT(times); i++, at = strchr(at, '\n') + 1)
		assert_memory_equal(at, times[i], strlen(times[i]));
	free(text);
	free(log.gather);
	fd_close(&log.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_text_line_has_time_level_request_message_and_fields),
	    cmocka_unit_test(a_json_line_has_the_same),
	    cmocka_unit_test(the_time_is_utc_with_milliseconds),
	    cmocka_unit_test(a_line_below_the_level_is_not_written),
	    cmocka_unit_test(control_characters_never_leave_as_they_are),
	    cmocka_unit_test(only_good_utf_8_passes),
	    cmocka_unit_test(a_nul_in_a_message_is_escaped_too),
	    cmocka_unit_test(a_long_line_is_cut_with_dots),
	    cmocka_unit_test(a_cut_line_is_still_json),
	    cmocka_unit_test(a_log_file_is_appended_to_and_opened_again),
	    cmocka_unit_test(a_log_that_cannot_be_opened_is_told),
	    cmocka_unit_test(
		lines_that_are_lost_are_counted_and_told_when_the_log_takes_lines_again),
	    cmocka_unit_test(a_log_that_loses_nothing_says_nothing_of_it),
	    cmocka_unit_test(gathered_lines_that_are_lost_are_counted_one_by_one),
	    cmocka_unit_test(of_gathered_lines_that_are_written_in_part_only_the_rest_is_lost),
	    cmocka_unit_test(a_flood_of_gathered_lines_is_written_whole_and_in_order),
	    cmocka_unit_test(gathered_lines_wait_for_a_flush),
	    cmocka_unit_test(gathered_lines_have_each_the_time_at_which_they_were_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
