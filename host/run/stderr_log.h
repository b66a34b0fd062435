/* What a script writes to standard error: to the log line by line, and its end for an error page. */
#ifndef EXTHOST_STDERR_LOG_H
#define EXTHOST_STDERR_LOG_H

#include "base/buffer.h"

struct log;

struct stderr_log {
	const struct log *log;
	const char *request; /* its id */
	const char *script;
	struct buffer line; /* while it is not complete */
	struct buffer kept; /* the end of all; taken over by the caller in the end */
};

/* Bytes as they come. A line that is too long is logged in pieces. */
void stderr_log_add(struct stderr_log *errors, const char *data, size_t size);

/* Where the script is, as its language tells it: logged as lines of a stream of their own. */
void stderr_log_add_stack(struct stderr_log *errors, const char *data, size_t size);

/*
 * Append to what is kept for an error page: only the last 16 KiB stay, which is where a traceback says
 * what it was.
 */
void stderr_log_keep(struct buffer *kept, const char *data, size_t size);

/* No more comes: what is left is a line too. `kept` stays. */
void stderr_log_end(struct stderr_log *errors);

#endif
