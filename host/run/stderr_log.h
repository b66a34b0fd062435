/* The standard error of a script: logged line by line, and its end kept for an error page. */
#ifndef EXTHOST_STDERR_LOG_H
#define EXTHOST_STDERR_LOG_H

#include "base/buffer.h"

struct log;

struct stderr_log {
	const struct log *log;
	const char *request; /* the request's id */
	const char *script;
	struct buffer line; /* the last line, while it is incomplete */
	struct buffer kept; /* the last bytes of all; the caller takes them over at the end */
};

/* Add bytes as they come. A line that is too long is logged in pieces. */
void stderr_log_add(struct stderr_log *errors, const char *data, size_t size);

/* Add the stack of the script, as its language reports it. It is logged as a stream of its own. */
void stderr_log_add_stack(struct stderr_log *errors, const char *data, size_t size);

/*
 * Append to the bytes kept for an error page. Only the last 16 KiB stay: a traceback ends with its
 * cause.
 */
void stderr_log_keep(struct buffer *kept, const char *data, size_t size);

/* The end: a last line without a line feed is logged too. `kept` stays. */
void stderr_log_end(struct stderr_log *errors);

#endif
