/*
 * The log: one line an event, text or JSON, written whole by one write(2), so that lines of several
 * threads and processes never mix.
 *
 *   text  2026-11-24T10:00:00.123Z info [3f9c2a7b51d0e846] hello.py: message name=value ...
 *   JSON  {"time":"...","level":"info","request":"3f9c...","message":"...","name":value,...}
 */
#ifndef EXTHOST_LOG_H
#define EXTHOST_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum log_level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARNING, LEVEL_ERROR };

struct log {
	int fd;     /* 2 when there is no file */
	char *path; /* NULL: standard error */
	bool json;
	enum log_level least;      /* lines below this level are not written */
	atomic_ulong *lost;        /* lines that could not be written; NULL: nobody counts */
	struct log_gather *gather; /* lines are gathered here, for log_flush; NULL: they are not */
};

#define LOG_GATHER 16384

/* Whole lines. It may stand in shared memory, so that another process can write what one has left. */
struct log_gather {
	atomic_size_t size;
	int64_t second; /* of which `time` is the text, "2026-11-24T10:00:00." */
	char time[20];
	atomic_ulong lost; /* a place for that of struct log */
	char text[LOG_GATHER];
};

/*
 * Open the file (appending, mode 0640), or take standard error when path is NULL. 0, to be released, or
 * -1.
 */
int log_open(struct log *log, const char *path, struct error *e);

/* Open the file again under its name, as after a rotation. The old one stays when that fails. */
int log_reopen(struct log *log, struct error *e);

/* Write what is gathered. */
void log_flush(const struct log *log);

/* Close the file, if it is one. */
void log_release(struct log *log);

/* A plain line that belongs to no request. */
void log_message(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * A line in pieces: begin with the message, add fields, end. `request` is the request's id or NULL.
 * Control characters are written as \xNN; a line that grows too long is cut with "...".
 */
#define LOG_LINE_MAX 4096

struct log_line {
	const struct log *log;
	size_t size;
	bool dropped; /* below the level: nothing is formatted */
	char text[LOG_LINE_MAX];
};

void log_begin(struct log_line *line, const struct log *log, enum log_level level,
    const char *request, const char *message, size_t size);
void log_string(struct log_line *line, const char *name, const char *value);
void log_number(struct log_line *line, const char *name, int64_t value);
void log_milliseconds(struct log_line *line, const char *name, uint64_t nanoseconds);
void log_end(struct log_line *line);

#endif
