/*
 * The log: one line for each event, as text or JSON. One write(2) writes a whole line, so that
 * lines of several threads and processes never mix.
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
	int fd;     /* 2 if there is no file */
	char *path; /* NULL: standard error */
	bool json;
	enum log_level least;      /* lines below this level are not written */
	atomic_ulong *lost;        /* counts lines that could not be written; NULL: not counted */
	struct log_gather *gather; /* holds lines until log_flush; NULL: each is written at once */
};

#define LOG_GATHER 16384

/*
 * A buffer of whole lines. It may be in shared memory, so that another process can write out the
 * lines that a dead process has left.
 */
struct log_gather {
	atomic_size_t size;
	int64_t second;    /* the second whose text is in `time` */
	char time[20];     /* "2026-11-24T10:00:00." */
	atomic_ulong lost; /* storage for the `lost` of struct log */
	char text[LOG_GATHER];
};

/*
 * Open the file for appending (mode 0640), or use standard error if path is NULL. 0: to be released
 * with log_release; -1 with *e.
 */
int log_open(struct log *log, const char *path, struct error *e);

/*
 * Reopen the file by its name, as after a rotation. If that fails, the old file stays in use. 0, or
 * -1 with *e.
 */
int log_reopen(struct log *log, struct error *e);

/* Write out the gathered lines. */
void log_flush(const struct log *log);

/* Close the file, unless the log is standard error. */
void log_release(struct log *log);

/* Write a line that belongs to no request. */
void log_message(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Build a line in pieces: log_begin with the message, the fields, log_end. `request` is the
 * request's id or NULL. Control characters are written as \xNN; a line that is too long is cut with
 * "...".
 */
#define LOG_LINE_MAX 4096

struct log_line {
	const struct log *log;
	size_t size;
	bool dropped; /* the level is too low: nothing is formatted */
	char text[LOG_LINE_MAX];
};

void log_begin(struct log_line *line, const struct log *log, enum log_level level,
    const char *request, const char *message, size_t size);
void log_string(struct log_line *line, const char *name, const char *value);
void log_number(struct log_line *line, const char *name, int64_t value);
void log_milliseconds(struct log_line *line, const char *name, uint64_t nanoseconds);
void log_end(struct log_line *line);

#endif
