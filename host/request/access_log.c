/* A line has what an operator looks for: user, request, times, sizes, the reason of a failure. */
#include "request/access_log.h"

#include "base/clock.h"
#include "base/log.h"
#include "request/outcome.h"
#include "request/request.h"

#include <string.h>

#define METHOD_SHOWN 32 /* bytes of it */

static size_t put(char *to, size_t at, size_t size, const char *text)
{
	size_t n = strnlen(text, size - at);

	memcpy(to + at, text, n);
	return at + n;
}

/* "/reports/month.py?year=2026": what was asked for. */
static size_t put_path(const struct request *request, char *to, size_t at, size_t size)
{
	const struct cgi_variables *v = &request->variables;
	const char *uri = cgi_variables_text(v, "REQUEST_URI");
	size_t n;

	if (uri[0] != '\0' && !request->relay)
		return put(to, at, size, uri);
	n = put(to, at, size, cgi_variables_text(v, "SCRIPT_NAME"));
	n = put(to, n, size, cgi_variables_text(v, "PATH_INFO"));
	return n > at ? n : put(to, at, size, "-");
}

void access_log_path(const struct request *request, char *path, size_t size)
{
	path[put_path(request, path, 0, size - 1)] = '\0';
}

/* "GET /reports/month.py?year=2026": the method and what was asked for. */
static size_t describe(const struct request *request, char *message, size_t size)
{
	const char *method = cgi_variables_text(&request->variables, "REQUEST_METHOD");
	size_t n = put(message, 0, METHOD_SHOWN, method[0] != '\0' ? method : "-");

	return put_path(request, message, put(message, n, size, " "), size);
}

void access_log_write(
    const struct log *log, bool quiet, const struct request *request, const struct outcome *outcome)
{
	const struct cgi_variables *v = &request->variables;
	const char *user = cgi_variables_text(v, "FOSSIL_USER");
	char message[2048];
	bool odd = request->cut > 0 || request->dropped != NULL;
	struct log_line line;
	size_t size;

	if (quiet && outcome->reason[0] == '\0' && !odd)
		return;
	size = describe(request, message, sizeof(message));
	log_begin(&line, log,
	    request->status >= 500 ? LEVEL_ERROR
	    : odd                  ? LEVEL_WARNING
				   : LEVEL_INFO,
	    request->id, message, size);
	log_number(&line, "status", request->status);
	if (request->script != NULL)
		log_string(&line, "script", request->script);
	if (user[0] != '\0')
		log_string(&line, "user", user);
	log_number(&line, "in", (int64_t)request->body_size);
	log_number(&line, "out", (int64_t)request->response.sent);
	if (request->cut > 0)
		log_number(&line, "cut", (int64_t)request->cut);
	if (request->dropped != NULL)
		log_string(&line, "dropped", request->dropped);
	log_milliseconds(&line, "ms", clock_now() - request->began);
	if (outcome->ran) {
		log_milliseconds(&line, "queue_ms", request->queued);
		log_milliseconds(&line, "run_ms", outcome->time);
		/* The usage of a short request to a direct worker is not measured. */
		if (outcome->peak > 0) {
			log_milliseconds(&line, "cpu_ms", outcome->cpu * 1000);
			log_number(&line, "peak_kib", (int64_t)outcome->peak);
		}
		log_string(&line, "end", outcome_name(outcome->why));
	}
	if (outcome->reason[0] != '\0') {
		if (outcome->pid > 0)
			log_number(&line, "pid", outcome->pid);
		log_string(&line, "reason", outcome->reason);
	}
	log_end(&line);
}
