/* One log line for each line of standard error, tagged with the request's id and the script. */
#include "run/stderr_log.h"

#include "base/log.h"

#include <stdbool.h>
#include <string.h>

#define KEPT_MOST 16384 /* bytes kept for the error page */
#define LINE_MOST 2048  /* a longer line is logged in pieces */

static void log_piece(
    const struct stderr_log *errors, const char *stream, const char *text, size_t size)
{
	struct log_line line;

	log_begin(&line, errors->log, LEVEL_INFO, errors->request, text, size);
	log_string(&line, "script", errors->script);
	log_string(&line, "stream", stream);
	log_end(&line);
}

static void log_lines(struct stderr_log *errors)
{
	while (errors->line.size > 0) {
		const char *newline = memchr(errors->line.data, '\n', errors->line.size);
		size_t size =
		    newline != NULL ? (size_t)(newline - errors->line.data) : errors->line.size;
		bool long_line = size > LINE_MOST;

		if (newline == NULL && !long_line)
			return;
		if (long_line)
			size = LINE_MOST;
		log_piece(errors, "stderr", errors->line.data, size);
		buffer_consume(&errors->line, long_line ? size : size + 1);
	}
}

void stderr_log_keep(struct buffer *kept, const char *data, size_t size)
{
	buffer_append(kept, data, size);
	if (kept->size > KEPT_MOST)
		buffer_consume(kept, kept->size - KEPT_MOST);
}

void stderr_log_add_stack(struct stderr_log *errors, const char *data, size_t size)
{
	stderr_log_keep(&errors->kept, data, size);
	while (size > 0) {
		const char *newline = memchr(data, '\n', size);
		size_t line = newline != NULL ? (size_t)(newline - data) : size;

		log_piece(errors, "stack", data, line < LINE_MOST ? line : LINE_MOST);
		line += newline != NULL;
		data += line;
		size -= line;
	}
}

void stderr_log_add(struct stderr_log *errors, const char *data, size_t size)
{
	stderr_log_keep(&errors->kept, data, size);
	buffer_append(&errors->line, data, size);
	log_lines(errors);
}

void stderr_log_end(struct stderr_log *errors)
{
	if (errors->line.size > 0)
		log_piece(errors, "stderr", errors->line.data, errors->line.size);
	buffer_release(&errors->line);
}
