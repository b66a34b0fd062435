/*
 * Every request ends here in one of four ways: a page of the host's own, a file, a script's reply,
 * or a reply that is cut because it failed when a part of it had left already.
 */
#include "front/answer.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "config/config.h"
#include "front/answer_file.h"
#include "front/lanes.h"
#include "front/status.h"
#include "pool/app_run.h"
#include "request/access_log.h"
#include "request/cgi_reply.h"
#include "request/request.h"
#include "request/route.h"
#include "request/script.h"
#include "request/static_content.h"
#include "run/run.h"
#include "run/stats.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool find_file(const struct answer_shared *shared, struct request *request,
    const char *prefix, struct route *route);
static bool is_metrics(
    const struct answer_shared *shared, const struct request *request, const char *prefix);
static void answer_static(
    const struct answer_shared *shared, struct request *request, const struct route *route);
static bool answer_script(
    const struct answer_shared *shared, struct request *request, const struct route *route);
static bool wait_for_place(const struct answer_shared *shared, struct request *request,
    const struct route *route, const struct limits *limits, struct lane **lane);
static bool answer_in_turn(const struct answer_shared *shared, struct run_job *job);
static bool answer_by_run(const struct answer_shared *shared, const struct run_job *job);
static bool answer_failure(const struct answer_shared *shared, struct request *request,
    const struct cgi_reply *reply, const struct run_result *result);

bool answer_request(const struct answer_shared *shared, struct request *request, const char *prefix)
{
	struct route route;
	bool usable = true;

	if (is_metrics(shared, request, prefix)) {
		if (answer_metrics(shared, request) < 0)
			answer_refusal(shared, request, 500, "out of memory");
		return !request->response.failed;
	}
	if (find_file(shared, request, prefix, &route)) {
		request->script = route.name;
		if (route.kind == ROUTE_STATIC)
			answer_static(shared, request, &route);
		else
			usable = answer_script(shared, request, &route);
	}
	request->script = NULL;
	route_release(&route);
	/* By now the request keeps no other one waiting: this can take its time. */
	if (request->response.broken || request->response.late) {
		response_cut(&request->response);
		usable = false;
	}
	return usable && !request->response.failed;
}

/* Never for the relay: Fossil would not ask for it, and its users are none of the host's. */
static bool is_metrics(
    const struct answer_shared *shared, const struct request *request, const char *prefix)
{
	char buffer[REQUEST_PATH_MAX];
	struct error e;
	const char *path;

	if (shared->status == NULL || shared->config->metrics[0] == '\0' || request->relay)
		return false;
	path = request_path(request, prefix, buffer, sizeof(buffer), &e);
	return path != NULL && strcmp(path, shared->config->metrics) == 0;
}

void answer_refusal(
    const struct answer_shared *shared, struct request *request, int status, const char *reason)
{
	error_page_send(request, status, NULL, 0);
	access_log_write(shared, request, NULL, reason);
}

void answer_aborted(const struct answer_shared *shared, struct request *request, const char *reason)
{
	request->status = REQUEST_ABORTED;
	response_end(&request->response);
	access_log_write(shared, request, NULL, reason);
}

/* What the host has found out itself stands in place of what was sent. */
static int set_found(const struct answer_shared *shared, struct request *request,
    const char *prefix, const struct route *route)
{
	const char *root = shared->config->root;
	char text[REQUEST_PATH_MAX];

	if (path_join(text, sizeof(text), root, route->name) < 0 ||
	    cgi_variables_set(&request->variables, "SCRIPT_FILENAME", text) < 0 ||
	    cgi_variables_set(&request->variables, "DOCUMENT_ROOT", root) < 0)
		return -1;
	if (request->relay)
		return 0; /* the relay: SCRIPT_NAME and PATH_INFO are Fossil's */
	snprintf(text, sizeof(text), "%.*s/%s",
	    (int)(strlen(prefix) - (prefix[0] != '\0' && prefix[strlen(prefix) - 1] == '/')),
	    prefix, route->name);
	if (cgi_variables_set(&request->variables, "SCRIPT_NAME", text) < 0)
		return -1;
	return cgi_variables_set(&request->variables, "PATH_INFO", route->path_info);
}

static bool find_file(const struct answer_shared *shared, struct request *request,
    const char *prefix, struct route *route)
{
	const char *script = cgi_variables_get(&request->variables, "SCRIPT_FILENAME");
	char buffer[REQUEST_PATH_MAX];
	const char *path;
	struct error e = {""};

	*route = (struct route){.file = -1};
	if (request->relay && script != NULL) {
		route_find_script(route, shared->root, shared->config->root, script, &e);
	} else {
		path = request_path(request, prefix, buffer, sizeof(buffer), &e);
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

/* POST too, as Fossil has it. A client that was told 200 would think that its file is stored, or gone. */
static bool is_reading(const struct request *request)
{
	const char *method = cgi_variables_text(&request->variables, "REQUEST_METHOD");

	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
	       strcmp(method, "POST") == 0;
}

/* What the configuration does not offer is not there; what is never sent is forbidden. */
static void answer_static(
    const struct answer_shared *shared, struct request *request, const struct route *route)
{
	struct extension_settings extension;
	const char *secret;
	struct error e;

	config_extension_settings(shared->config, route->name, &extension);
	secret =
	    static_content_secret(scripts_bindings(shared->run.scripts), route->name, route->file);
	if (!static_content_is_offered(extension.static_content, route->name)) {
		error_set(&e, "%s is not executable, and static = %s", route->name,
		    extension.static_content);
		answer_refusal(shared, request, 404, e.message);
	} else if (secret != NULL) {
		error_set(&e, "%s is not executable, and %s is never sent", route->name, secret);
		answer_refusal(shared, request, 403, e.message);
	} else if (!is_reading(request)) {
		answer_refusal(shared, request, 405, "static content can be read only");
	} else {
		answer_file(shared, request, route);
	}
}

static enum script_kind kind_by_mode(
    const struct extension_settings *extension, enum script_kind found)
{
	switch (extension->mode[0]) {
	case 'c': return SCRIPT_CGI;
	case 'r': return SCRIPT_RERUN;
	default: return strcmp(extension->mode, "app") == 0 ? SCRIPT_APP : found;
	}
}

/* Which language it is, whether its limits allow the request, and when it may run. */
static bool answer_script(
    const struct answer_shared *shared, struct request *request, const struct route *route)
{
	struct limits limits;
	struct extension_settings extension;
	struct script_found found;
	struct run_job job = {.request = request,
	    .route = route,
	    .limits = &limits,
	    .extension = &extension,
	    .found = &found,
	    .debug = shared->config->debug};
	struct error e;
	bool usable = true;

	config_limits(shared->config, route->name, &limits);
	config_extension_settings(shared->config, route->name, &extension);
	if (scripts_find(
		shared->run.scripts, route->name, route->file, &route->status, &found, &e) < 0) {
		answer_refusal(shared, request, 500, e.message);
	} else if (request->body_size > limits.max_body) {
		error_set(&e, "the body has %llu bytes, allowed are %llu",
		    (unsigned long long)request->body_size, (unsigned long long)limits.max_body);
		answer_refusal(shared, request, 413, e.message);
	} else {
		found.kind = kind_by_mode(&extension, found.kind);
		if (found.kind != SCRIPT_CGI)
			limits.lane = limits.workers;
		usable = answer_in_turn(shared, &job);
	}
	fd_close(&found.code);
	return usable && !request->response.failed;
}

static bool answer_in_turn(const struct answer_shared *shared, struct run_job *job)
{
	struct lane *lane = NULL;
	bool usable = true;

	if (shared->run.stats != NULL)
		job->entry = stats_begin(shared->run.stats, job->request->id, job->route->name,
		    cgi_variables_text(&job->request->variables, "FOSSIL_USER"));
	if (wait_for_place(shared, job->request, job->route, job->limits, &lane)) {
		job->request->language = job->found->language;
		usable = answer_by_run(shared, job);
		if (lane != NULL)
			lanes_leave(shared->lanes, lane, shared->config->concurrency);
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
	    .timeout = config->queue_timeout * CLOCK_SECOND};
	uint64_t began = clock_now();
	enum lanes_verdict verdict = LANES_GO;
	struct error e;

	if (shared->lanes != NULL)
		verdict =
		    lanes_enter(shared->lanes, route->name, &wanted, request->response.fd, lane);
	request->queued = clock_now() - began;
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
		access_log_write(shared, request, NULL, "the client went away while it waited");
		break;
	}
	return false;
}

static bool answer_by_run(const struct answer_shared *shared, const struct run_job *job)
{
	struct request *request = job->request;
	struct cgi_reply reply;
	struct run_result result;
	struct error e;
	bool usable = true;

	cgi_reply_init(&reply, request, shared->config, job->limits);
	if (job->found->kind == SCRIPT_APP)
		reply.buffer = 0; /* what it gives is wanted at once (PEP 3333) */
	if (job->found->kind == SCRIPT_CGI)
		run_script(&shared->run, job, &reply, &result);
	else
		app_run(&shared->run, job, &reply, &result);
	if (result.whole && !result.answered && cgi_reply_finish(&reply, &e) < 0) {
		result.whole = false;
		result.status = 500;
		result.why = RUN_REPLY;
		snprintf(result.reason, sizeof(result.reason), "%.*s",
		    (int)sizeof(result.reason) - 1, e.message);
	}
	if (result.whole || result.answered)
		access_log_write(shared, request, &result, result.whole ? NULL : result.reason);
	else
		usable = answer_failure(shared, request, &reply, &result);
	cgi_reply_release(&reply);
	buffer_release(&result.errors);
	return usable && !result.answered;
}

static bool answer_failure(const struct answer_shared *shared, struct request *request,
    const struct cgi_reply *reply, const struct run_result *result)
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
		request->response.broken = true;
	} else {
		buffer_printf(&detail, "%s\n\n", result->reason);
		buffer_append(&detail, result->errors.data, result->errors.size);
		error_page_send(request, result->status, show ? detail.data : NULL, detail.size);
	}
	access_log_write(shared, request, result, result->reason);
	buffer_release(&detail);
	return !request->response.broken && !request->response.failed;
}
