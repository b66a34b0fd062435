/*
 * Every request ends here in one of four ways: a page of the host's own, a file, a script's reply,
 * or a reply that is cut because it failed when a part of it had left already.
 */
#include "answer.h"

#include "config.h"
#include "error.h"
#include "fd.h"
#include "lanes.h"
#include "log.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "script.h"
#include "spares.h"
#include "stats.h"
#include "status.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ULL

static bool find_file(const struct answer_shared *shared, struct request *request,
    const char *prefix, struct route *route);
static const char *url_path(
    const struct request *request, const char *prefix, char *path, size_t size, struct error *e);
static bool is_metrics(
    const struct answer_shared *shared, const struct request *request, const char *prefix);
static void answer_metrics(const struct answer_shared *shared, struct request *request);
static bool answer_file(
    const struct answer_shared *shared, struct request *request, const struct route *route);
static bool answer_script(
    const struct answer_shared *shared, struct request *request, const struct route *route);
static bool wait_for_place(const struct answer_shared *shared, struct request *request,
    const struct route *route, const struct limits *limits, struct lane **lane);
static bool answer_in_turn(const struct answer_shared *shared, struct run_job *job);
static bool answer_by_run(const struct answer_shared *shared, const struct run_job *job);
static bool answer_failure(const struct answer_shared *shared, struct request *request,
    const struct reply *reply, const struct run_result *result);
static void log_request(const struct answer_shared *shared, const struct request *request,
    const struct run_result *result, const char *reason);

bool answer_request(const struct answer_shared *shared, struct request *request, const char *prefix)
{
	struct route route;
	bool usable = true;

	if (is_metrics(shared, request, prefix)) {
		answer_metrics(shared, request);
		return !request->response.failed;
	}
	if (find_file(shared, request, prefix, &route)) {
		request->script = route.name;
		usable = route.kind == ROUTE_STATIC ? answer_file(shared, request, &route)
						    : answer_script(shared, request, &route);
	}
	request->script = NULL;
	route_release(&route);
	return usable && !request->response.failed;
}

/* Never for the relay: Fossil would not ask for it, and its users are none of the host's. */
static bool is_metrics(
    const struct answer_shared *shared, const struct request *request, const char *prefix)
{
	char buffer[1024];
	struct error e;
	const char *path;

	if (shared->status == NULL || shared->config->metrics[0] == '\0' || request->relay)
		return false;
	path = url_path(request, prefix, buffer, sizeof(buffer), &e);
	return path != NULL && strcmp(path, shared->config->metrics) == 0;
}

static void answer_metrics(const struct answer_shared *shared, struct request *request)
{
	struct buffer text = {0};
	struct buffer head = {0};

	if (status_metrics(shared->status, &text) < 0) {
		answer_refusal(shared, request, 500, "out of memory");
	} else {
		buffer_printf(&head,
		    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    text.size);
		response_write(&request->response, head.data, head.size);
		response_write(&request->response, text.data, text.size);
		response_end(&request->response);
		request->status = 200;
		log_request(shared, request, NULL, NULL);
	}
	buffer_release(&head);
	buffer_release(&text);
}

void answer_refusal(
    const struct answer_shared *shared, struct request *request, int status, const char *reason)
{
	reply_error_page(request, status, NULL, 0);
	log_request(shared, request, NULL, reason);
}

void answer_aborted(const struct answer_shared *shared, struct request *request, const char *reason)
{
	request->status = REQUEST_ABORTED;
	response_end(&request->response);
	log_request(shared, request, NULL, reason);
}

/* The path that the web server sent, in one piece, less the prefix; NULL with the reason in *e. */
static const char *url_path(
    const struct request *request, const char *prefix, char *path, size_t size, struct error *e)
{
	size_t skip = strlen(prefix);
	int n = snprintf(path, size, "%s%s", variables_text(&request->variables, "SCRIPT_NAME"),
	    variables_text(&request->variables, "PATH_INFO"));

	if (n < 0 || (size_t)n >= size)
		return error_set(e, "the path is longer than %zu bytes", size - 1), NULL;
	while (skip > 0 && prefix[skip - 1] == '/')
		skip--;
	if (strncmp(path, prefix, skip) != 0 || (path[skip] != '/' && path[skip] != '\0'))
		return error_set(e, "the path is not below the prefix %s", prefix), NULL;
	return path + skip;
}

/* What the host has found out itself stands in place of what was sent. */
static int set_found(const struct answer_shared *shared, struct request *request,
    const char *prefix, const struct route *route)
{
	const char *root = shared->config->root;
	char text[8192];

	snprintf(text, sizeof(text), "%s/%s", strcmp(root, "/") == 0 ? "" : root, route->name);
	if (variables_set(&request->variables, "SCRIPT_FILENAME", text) < 0 ||
	    variables_set(&request->variables, "DOCUMENT_ROOT", root) < 0)
		return -1;
	if (request->relay)
		return 0; /* the relay: SCRIPT_NAME and PATH_INFO are Fossil's */
	snprintf(text, sizeof(text), "%.*s/%s",
	    (int)(strlen(prefix) - (prefix[0] != '\0' && prefix[strlen(prefix) - 1] == '/')),
	    prefix, route->name);
	if (variables_set(&request->variables, "SCRIPT_NAME", text) < 0)
		return -1;
	return variables_set(&request->variables, "PATH_INFO", route->path_info);
}

static bool find_file(const struct answer_shared *shared, struct request *request,
    const char *prefix, struct route *route)
{
	const char *script = variables_get(&request->variables, "SCRIPT_FILENAME");
	char buffer[8192];
	const char *path;
	struct error e = {""};

	*route = (struct route){.file = -1};
	if (request->relay && script != NULL) {
		route_find_script(route, shared->root, shared->config->root, script, &e);
	} else {
		path = url_path(request, prefix, buffer, sizeof(buffer), &e);
		if (path != NULL)
			route_find(route, shared->root, path, &e);
	}
	if (route->kind == ROUTE_NOT_FOUND) {
		answer_refusal(shared, request, 404, e.message);
		return false;
	}
	if (set_found(shared, request, prefix, route) < 0 ||
	    request_complete_variables(request, &e) < 0) {
		answer_refusal(shared, request, 500, "out of memory");
		return false;
	}
	return true;
}

static bool answer_file(
    const struct answer_shared *shared, struct request *request, const struct route *route)
{
	const struct variables *v = &request->variables;
	char modified[64], head[512], piece[65536];
	struct tm parts;
	off_t left = route->status.st_size;
	bool unchanged;

	gmtime_r(&route->status.st_mtim.tv_sec, &parts);
	strftime(modified, sizeof(modified), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	unchanged = strcmp(variables_text(v, "HTTP_IF_MODIFIED_SINCE"), modified) == 0;
	snprintf(head, sizeof(head), "%sContent-Type: %s\r\nLast-Modified: %s\r\n",
	    unchanged ? "Status: 304 Not Modified\r\n" : "", route_media_type(route->name),
	    modified);
	response_write(&request->response, head, strlen(head));
	snprintf(head, sizeof(head), "Content-Length: %lld\r\n\r\n", (long long)left);
	response_write(&request->response, unchanged ? "\r\n" : head, unchanged ? 2 : strlen(head));
	request->status = unchanged ? 304 : 200;
	if (unchanged || strcmp(variables_text(v, "REQUEST_METHOD"), "HEAD") == 0)
		left = 0;
	while (left > 0 && !request->response.failed) {
		ssize_t n = read(route->file, piece, sizeof(piece));

		if (n <= 0)
			break;
		response_write(&request->response, piece, (size_t)(n < left ? n : left));
		left -= n < left ? n : left;
	}
	/* With a Content-Length that was not filled, END_REQUEST is noticed as a cut. */
	response_end(&request->response);
	log_request(shared, request, NULL, NULL);
	return true;
}

/* Which language it is, whether its limits allow the request, and when it may run. */
static bool answer_script(
    const struct answer_shared *shared, struct request *request, const struct route *route)
{
	struct limits limits;
	struct run_job job = {.request = request, .route = route, .limits = &limits, .code = -1};
	struct error e;
	bool usable = true;

	config_limits(shared->config, route->name, &limits);
	job.language = scripts_find(
	    shared->run.scripts, route->name, route->file, &route->status, &job.code, &e);
	if (job.language < 0) {
		answer_refusal(shared, request, 500, e.message);
	} else if (request->body_size > limits.max_body) {
		error_set(&e, "the body has %llu bytes, allowed are %llu",
		    (unsigned long long)request->body_size, (unsigned long long)limits.max_body);
		answer_refusal(shared, request, 413, e.message);
	} else {
		usable = answer_in_turn(shared, &job);
	}
	fd_close(&job.code);
	return usable && !request->response.failed;
}

static bool answer_in_turn(const struct answer_shared *shared, struct run_job *job)
{
	struct lane *lane = NULL;
	bool usable = true;

	if (shared->run.stats != NULL)
		job->entry = stats_begin(shared->run.stats, job->request->id, job->route->name,
		    variables_text(&job->request->variables, "FOSSIL_USER"));
	if (wait_for_place(shared, job->request, job->route, job->limits, &lane)) {
		usable = answer_by_run(shared, job);
		if (lane != NULL)
			lanes_leave(shared->lanes, lane, shared->config->concurrency);
		spares_replace(shared->run.spares, job->language);
	}
	if (shared->run.stats != NULL)
		stats_leave(shared->run.stats, job->entry);
	return usable;
}

/* false: there is none, and the request has been answered. */
static bool wait_for_place(const struct answer_shared *shared, struct request *request,
    const struct route *route, const struct limits *limits, struct lane **lane)
{
	const struct config *config = shared->config;
	const struct lanes_limits wanted = {.lane = limits->lane,
	    .concurrency = config->concurrency,
	    .queue = config->queue,
	    .timeout = config->queue_timeout * SECOND};
	uint64_t began = request_clock();
	enum lanes_verdict verdict = LANES_GO;
	struct error e;

	if (shared->lanes != NULL)
		verdict =
		    lanes_enter(shared->lanes, route->name, &wanted, request->response.fd, lane);
	request->queued = request_clock() - began;
	switch (verdict) {
	case LANES_GO: return true;
	case LANES_FULL:
		error_set(
		    &e, "%llu requests wait already, --queue", (unsigned long long)config->queue);
		answer_refusal(shared, request, 503, e.message);
		break;
	case LANES_LATE:
		error_set(&e, "no place for a run within %llu s, --queue-timeout",
		    (unsigned long long)config->queue_timeout);
		answer_refusal(shared, request, 503, e.message);
		break;
	case LANES_GONE:
		request->status = 499;
		request->response.failed = true;
		log_request(shared, request, NULL, "the client went away while it waited");
		break;
	}
	return false;
}

static bool answer_by_run(const struct answer_shared *shared, const struct run_job *job)
{
	struct request *request = job->request;
	struct reply reply;
	struct run_result result;
	struct error e;
	bool usable = true;

	reply_init(&reply, request, shared->config, job->limits);
	run_script(&shared->run, job, &reply, &result);
	if (result.whole && !result.answered && reply_finish(&reply, &e) < 0) {
		result.whole = false;
		result.status = 500;
		result.why = RUN_REPLY;
		snprintf(result.reason, sizeof(result.reason), "%.*s",
		    (int)sizeof(result.reason) - 1, e.message);
	}
	if (result.whole || result.answered)
		log_request(shared, request, &result, result.whole ? NULL : result.reason);
	else
		usable = answer_failure(shared, request, &reply, &result);
	reply_release(&reply);
	buffer_release(&result.errors);
	return usable && !result.answered;
}

static bool answer_failure(const struct answer_shared *shared, struct request *request,
    const struct reply *reply, const struct run_result *result)
{
	bool show = shared->config->debug || request_may_see_traceback(request);
	struct buffer detail = {0};

	if (result->why == RUN_CLIENT) {
		request->status = 499;
		request->response.failed = true;
	} else if (result->why == RUN_ABORTED) {
		request->status = 499;
		response_end(&request->response);
	} else if (reply->released) {
		response_cut(&request->response);
		request->response.failed = true;
	} else {
		buffer_printf(&detail, "%s\n\n", result->reason);
		buffer_append(&detail, result->errors.data, result->errors.size);
		reply_error_page(request, result->status, show ? detail.data : NULL, detail.size);
	}
	log_request(shared, request, result, result->reason);
	buffer_release(&detail);
	return !request->response.failed;
}

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

static void log_request(const struct answer_shared *shared, const struct request *request,
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
		log_milliseconds(&line, "cpu_ms", result->cpu * 1000);
		log_number(&line, "peak_kib", (int64_t)result->peak);
		log_string(&line, "end", run_why_name(result->why));
	}
	if (reason != NULL)
		log_string(&line, "reason", reason);
	log_end(&line);
}
