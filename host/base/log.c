/*
 * A line is built in a fixed buffer on the caller's stack and written once. A line that cannot be
 * written (disk full, pipe closed) is lost and counted: logging must never stop a request.
 */
#include "base/log.h"

#include "base/error.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Bytes reserved for the end of a line: "..." after a cut value, a quote, a brace, the newline. */
#define LOG_TAIL 8

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static int open_file(const char *path, struct error *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

	return fd < 0 ? error_errno(e, "open log %s", path) : fd;
}

int log_open(struct log *log, const char *path, struct error *e)
{
	log->fd = STDERR_FILENO;
	log->lost = calloc(1, sizeof(*log->lost));
	log->path = path != NULL ? strdup(path) : NULL;
	if (path == NULL)
		return 0;
	log->fd = log->path != NULL ? open_file(path, e) : error_set(e, "out of memory");
	if (log->fd >= 0)
		return 0;
	log_release(log);
	return -1;
}

int log_reopen(struct log *log, struct error *e)
{
	int fresh;

	if (log->path == NULL)
		return 0;
	fresh = open_file(log->path, e);
	if (fresh < 0)
		return -1;
	/* Other threads may be writing to this descriptor, so its number must stay the same. */
	dup3(fresh, log->fd, O_CLOEXEC);
	fd_close(&fresh);
	return 0;
}

void log_release(struct log *log)
{
	if (log->path != NULL)
		fd_close(&log->fd);
	free(log->path);
	free(log->lost);
	log->path = NULL;
	log->lost = NULL;
}

void log_message(const struct log *log, enum log_level level, const char *format, ...)
{
	char text[1024];
	struct log_line line;
	va_list arguments;

	if (level < log->least)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_begin(&line, log, level, NULL, text, strlen(text));
	log_end(&line);
}

static void put(struct log_line *line, const char *text, size_t size)
{
	size_t room = sizeof(line->text) - LOG_TAIL - line->size;

	if (size > room)
		size = room;
	memcpy(line->text + line->size, text, size);
	line->size += size;
}

static void put_string(struct log_line *line, const char *text)
{
	put(line, text, strlen(text));
}

/* The length of the UTF-8 sequence at s; 0 if the bytes are not valid UTF-8. */
static size_t utf8_length(const unsigned char *s, size_t size)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;

	if (n == 0 || n > size || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)))
		return 0;
	if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)))
		return 0;
	return n;
}

/*
 * Bytes needed before a character is written: the longest escape, \uNNNN, then "..." and a quote.
 */
#define PIECE_ROOM (6 + 3 + 1)

static void put_escaped(struct log_line *line, const char *text, size_t size, bool quoted)
{
	bool json = line->log->json;

	for (size_t i = 0; i < size;) {
		unsigned char c = (unsigned char)text[i];
		size_t n = utf8_length((const unsigned char *)text + i, size - i);
		char escape[8];

		if (line->size + PIECE_ROOM > sizeof(line->text) - LOG_TAIL) {
			put_string(line, "...");
			return;
		}
		if (n == 0 || c < 0x20 || c == 0x7f) {
			if (json)
				snprintf(escape, sizeof(escape), "\\u%04x", n == 0 ? 0xfffdU : c);
			else
				snprintf(escape, sizeof(escape), c == '\t' ? "\t" : "\\x%02x", c);
			put_string(line, escape);
			n = 1;
		} else if ((c == '"' || c == '\\') && (json || quoted)) {
			escape[0] = '\\';
			escape[1] = (char)c;
			put(line, escape, 2);
		} else {
			put(line, text + i, n);
		}
		i += n;
	}
}

/* Decimal digits, padded with zeros to this width. */
static void put_digits(struct log_line *line, uint64_t value, int width)
{
	char text[24];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
		width--;
	} while (value > 0 || width > 0);
	put(line, text + at, sizeof(text) - at);
}

/* As 2026-11-24T10:00:00. with the dot. strftime(3) would be a tenth of the cost of a line. */
static void put_second(struct log_line *line, time_t second)
{
	static const char between[] = "--T::.";
	struct tm parts;

	gmtime_r(&second, &parts);

	const int values[] = {parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
	    parts.tm_min, parts.tm_sec};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		put_digits(line, (uint64_t)values[i], i == 0 ? 4 : 2);
		put(line, between + i, 1);
	}
}

/* As 2026-11-24T10:00:00.123Z. A log that gathers writes many lines a second and keeps the text. */
static void put_time(struct log_line *line)
{
	struct log_gather *gather = line->log->gather;
	size_t at = line->size;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (gather != NULL && gather->second == now.tv_sec) {
		put(line, gather->time, sizeof(gather->time));
	} else {
		put_second(line, now.tv_sec);
		if (gather != NULL && line->size - at == sizeof(gather->time)) {
			memcpy(gather->time, line->text + at, sizeof(gather->time));
			gather->second = now.tv_sec;
		}
	}
	put_digits(line, (uint64_t)now.tv_nsec / 1000000, 3);
	put(line, "Z", 1);
}

void log_begin(struct log_line *line, const struct log *log, enum log_level level,
    const char *request, const char *message, size_t size)
{
	line->log = log;
	line->size = 0;
	line->dropped = level < log->least;
	if (line->dropped)
		return;
	put_string(line, log->json ? "{\"time\":\"" : "");
	put_time(line);
	put_string(line, log->json ? "\",\"level\":\"" : " ");
	put_string(line, level_names[level]);
	put_string(line, log->json ? "\"" : " ");
	if (request != NULL) {
		put_string(line, log->json ? ",\"request\":\"" : "[");
		put_string(line, request);
		put_string(line, log->json ? "\"" : "] ");
	}
	put_string(line, log->json ? ",\"message\":\"" : "");
	put_escaped(line, message, size, false);
	put_string(line, log->json ? "\"" : "");
}

static void put_name(struct log_line *line, const char *name)
{
	put_string(line, line->log->json ? ",\"" : " ");
	put_string(line, name);
	put_string(line, line->log->json ? "\":" : "=");
}

void log_string(struct log_line *line, const char *name, const char *value)
{
	bool quoted = line->log->json || value[0] == '\0' || strpbrk(value, " \t\"=") != NULL;

	/*
	 * A field with hardly any room left is omitted whole, so that the line can still be parsed.
	 */
	if (line->dropped || line->size + strlen(name) + 16 > sizeof(line->text) - LOG_TAIL)
		return;
	put_name(line, name);
	put_string(line, quoted ? "\"" : "");
	put_escaped(line, value, strlen(value), quoted);
	if (quoted)
		line->text[line->size++] = '"';
}

void log_number(struct log_line *line, const char *name, int64_t value)
{
	if (line->dropped || line->size + strlen(name) + 32 > sizeof(line->text) - LOG_TAIL)
		return;
	put_name(line, name);
	if (value < 0)
		put(line, "-", 1);
	put_digits(line, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
}

void log_milliseconds(struct log_line *line, const char *name, uint64_t nanoseconds)
{
	uint64_t microseconds = (nanoseconds + 500) / 1000;

	if (line->dropped || line->size + strlen(name) + 32 > sizeof(line->text) - LOG_TAIL)
		return;
	put_name(line, name);
	put_digits(line, microseconds / 1000, 1);
	put(line, ".", 1);
	put_digits(line, microseconds % 1000, 3);
}

/* 0, or -1: some lines could not be written; they are lost and counted. */
static int write_lines(const struct log *log, const char *text, size_t size)
{
	ssize_t n = write(log->fd, text, size);
	unsigned long lost = 0;

	for (size_t i = n > 0 ? (size_t)n : 0; i < size; i++)
		lost += text[i] == '\n';
	if (lost == 0)
		return 0;
	if (log->lost != NULL)
		atomic_fetch_add(log->lost, lost);
	return -1;
}

/* The log accepts lines again: report how many were lost. */
static void tell_lost(const struct log *log)
{
	unsigned long lost =
	    log->lost != NULL && atomic_load(log->lost) > 0 ? atomic_exchange(log->lost, 0) : 0;

	if (lost > 0)
		log_message(log, LEVEL_WARNING,
		    "%lu lines before this could not be written to the log", lost);
}

void log_flush(const struct log *log)
{
	struct log_gather *gather = log->gather;
	size_t size = gather != NULL ? atomic_load(&gather->size) : 0;
	int result;

	if (size == 0)
		return;
	result = write_lines(log, gather->text, size);
	atomic_store(&gather->size, 0);
	if (result == 0)
		tell_lost(log);
}

void log_end(struct log_line *line)
{
	struct log_gather *gather = line->log->gather;
	size_t size;

	if (line->dropped)
		return;
	if (line->log->json)
		line->text[line->size++] = '}';
	line->text[line->size++] = '\n';
	if (gather == NULL) {
		if (write_lines(line->log, line->text, line->size) == 0)
			tell_lost(line->log);
		return;
	}
	if (atomic_load(&gather->size) + line->size > LOG_GATHER)
		log_flush(line->log);
	size = atomic_load(&gather->size);
	memcpy(gather->text + size, line->text, line->size);
	atomic_store_explicit(&gather->size, size + line->size, memory_order_release);
}
