/* What stands in the line is what an operator asks for: who, what, how long, how much, and why. */
#include "answer_log.h"

#include "answer_shared.h"
#include "guard_end.h"
#include "log.h"
#include "request.h"
#include "stats.h"

#include <stdio.h>
#include <string.h>

static void count(const struct answer_shared *shared, const struct request *request,
    const struct run_result *result, const char *reason)
{
	const struct stats_outcome outcome = {.extension = request->script,
	    .status = request->status,
	    .time = request_clock() - request->began,
	    .cpu = result != NULL ? result->cpu : 0,
	    .peak = result != NULL ? result->peak : 0,
	    .error = request->status >= 500 ? reason : NULL};

	stats_count(shared->run.stats, &outcome);
}

void answer_log(const struct answer_shared *shared, const struct request *request,
    const struct run_result *result, const char *reason)
{
	const struct variables *v = &request->variables;
	const char *uri = variables_get(v, "REQUEST_URI");
	const char *user = variables_text(v, "FOSSIL_USER");
	char message[2048];
	char whole[1024];
	struct log_line line;

	count(shared, request, result, reason);
	if (shared->quiet && reason == NULL)
		return;
	snprintf(whole, sizeof(whole), "%s%s", variables_text(v, "SCRIPT_NAME"),
	    variables_text(v, "PATH_INFO"));
	snprintf(message, sizeof(message), "%.32s %.1900s",
	    variables_get(v, "REQUEST_METHOD") != NULL ? variables_get(v, "REQUEST_METHOD") : "-",
	    uri != NULL && uri[0] != '\0' && !request->relay ? uri
	    : whole[0] != '\0'                               ? whole
							     : "-");
	log_begin(&line, shared->run.log, request->status >= 500 ? LEVEL_ERROR : LEVEL_INFO,
	    request->id, message, strlen(message));
	log_number(&line, "status", request->status);
	if (request->script != NULL)
		log_string(&line, "script", request->script);
	if (user[0] != '\0')
		log_string(&line, "user", user);
	log_number(&line, "in", (int64_t)request->body_size);
	log_number(&line, "out", (int64_t)request->response.sent);
	log_milliseconds(&line, "ms", request_clock() - request->began);
	if (result != NULL) {
		log_milliseconds(&line, "queue_ms", request->queued);
		log_milliseconds(&line, "run_ms", result->time);
		/* Nobody has looked at a short request to an app that serves its own sockets. */
		if (result->peak > 0) {
			log_milliseconds(&line, "cpu_ms", result->cpu * 1000);
			log_number(&line, "peak_kib", (int64_t)result->peak);
		}
		log_string(&line, "end", run_why_name(result->why));
	}
	if (reason != NULL)
		log_string(&line, "reason", reason);
	log_end(&line);
}
