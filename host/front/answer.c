/*
 * The stages of a request in the front: find its file, admit it to its lane, run it, finish the
 * reply, log and release. A stage returns true if the next one follows; otherwise it has answered
 * the request itself.
 */
#include "front/answer.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "binding.h"
#include "config/config.h"
#include "config/environment.h"
#include "front/answer_file.h"
#include "front/lanes.h"
#include "pool/app_run.h"
#include "request/exchange.h"
#include "request/request.h"
#include "request/static_content.h"
#include "run/run.h"
#include "run/stats.h"

#include <string.h>

static bool is_metrics(
    const struct front_shared *shared, const struct exchange *x, const char *prefix);
static bool find_file(const struct front_shared *shared, struct exchange *x, const char *prefix);
static bool find_script(const struct front_shared *shared, struct exchange *x);
static bool admit(const struct front_shared *shared, struct exchange *x);
static void run(const struct front_shared *shared, struct exchange *x);
static void answer_static(const struct front_shared *shared, struct exchange *x);
static void count(const struct front_shared *shared, const struct exchange *x);

void answer_request(const struct front_shared *shared, struct exchange *x, const char *prefix)
{
	if (is_metrics(shared, x, prefix))
		answer_metrics(x, shared->status);
	else if (find_file(shared, x, prefix) && x->route.kind == ROUTE_STATIC)
		answer_static(shared, x);
	else if (x->route.kind == ROUTE_SCRIPT && find_script(shared, x) && admit(shared, x))
		run(shared, x);
}

bool answer_end(const struct front_shared *shared, struct exchange *x)
{
	struct response *response = &x->request->response;

	count(shared, x);
	exchange_log(x);
	if (x->lane != NULL)
		lanes_leave(shared->lanes, x->lane, x->config->concurrency);
	if (x->entry != NULL)
		stats_leave(shared->run.stats, x->entry);
	/* The lane is free again, so this wait for the client delays no other request. */
	if (response->broken || response->late) {
		response_cut(response);
		response->broken = true;
	}
	return exchange_release(x);
}

/* Never for the relay: Fossil does not ask for metrics, and its users must not see the host's. */
static bool is_metrics(
    const struct front_shared *shared, const struct exchange *x, const char *prefix)
{
	char buffer[REQUEST_PATH_MAX];
	struct error e;
	const char *path;

	if (shared->status == NULL || x->config->metrics[0] == '\0' || x->request->relay)
		return false;
	path = request_path(x->request, prefix, buffer, sizeof(buffer), &e);
	return path != NULL && strcmp(path, x->config->metrics) == 0;
}

static int set_found(struct exchange *x, const char *prefix)
{
	char file[REQUEST_PATH_MAX];
	const struct script_place place = {
	    .file = file, .root = x->config->root, .prefix = prefix, .name = x->route.name};

	if (path_join(file, sizeof(file), x->config->root, x->route.name) < 0)
		return -1;
	return request_name_script(x->request, &place, x->route.path_info, NULL) != 0 ? -1 : 0;
}

static bool find_file(const struct front_shared *shared, struct exchange *x, const char *prefix)
{
	const char *script = cgi_variables_get(&x->request->variables, "SCRIPT_FILENAME");
	char buffer[REQUEST_PATH_MAX];
	const char *path;
	struct error e = {""};

	if (x->request->relay && script != NULL) {
		route_find_script(&x->route, shared->root, x->config->root, script, &e);
	} else {
		path = request_path(x->request, prefix, buffer, sizeof(buffer), &e);
		if (path != NULL)
			route_find(&x->route, shared->root, path, &e);
	}
	if (x->route.kind == ROUTE_NOT_FOUND) {
		exchange_refuse(x, 404, "%s", e.message);
		return false;
	}
	if (set_found(x, prefix) < 0 || request_complete_variables(x->request, &e) < 0) {
		x->route.kind = ROUTE_NOT_FOUND;
		exchange_refuse(x, 500, "out of memory");
		return false;
	}
	x->request->script = x->route.name;
	return true;
}

/*
 * GET, HEAD or POST, as in Fossil. After a 200 to another method, a client would believe its file
 * stored or deleted.
 */
static bool is_reading(const struct request *request)
{
	const char *method = cgi_variables_text(&request->variables, "REQUEST_METHOD");

	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
	       strcmp(method, "POST") == 0;
}

/* A file that the configuration does not offer is not found; a secret one is forbidden. */
static void answer_static(const struct front_shared *shared, struct exchange *x)
{
	const struct binding *const *bindings = scripts_bindings(shared->run.scripts);
	const char *name = x->route.name;
	const char *secret = static_content_secret(bindings, name, x->route.file);

	config_extension_settings(x->config, name, &x->extension);
	if (!static_content_is_offered(x->extension.static_content, name))
		exchange_refuse(x, 404, "%s is not executable, and static = %s", name,
		    x->extension.static_content);
	else if (secret != NULL)
		exchange_refuse(x, 403, "%s is not executable, and %s is never sent", name, secret);
	else if (!is_reading(x->request))
		exchange_refuse(x, 405, "static content is read-only");
	else
		answer_file(x);
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

static bool add_environment(const struct front_shared *shared, struct exchange *x)
{
	const struct binding *binding = scripts_bindings(shared->run.scripts)[x->found.language];
	bool whole = x->found.kind != SCRIPT_APP || !binding->apart;
	struct error e;

	if (environment_find(x->config, x->route.name, NULL, &x->environment) == 0 &&
	    request_add_environment(x->request, &x->environment, whole, &e) == 0)
		return true;
	exchange_refuse(x, 500, "out of memory");
	return false;
}

/* Find the language and the kind of the script, and check the request against its limits. */
static bool find_script(const struct front_shared *shared, struct exchange *x)
{
	const struct route *route = &x->route;
	struct error e;

	config_limits(x->config, route->name, &x->limits);
	config_extension_settings(x->config, route->name, &x->extension);
	if (scripts_find(
		shared->run.scripts, route->name, route->file, &route->status, &x->found, &e) < 0) {
		exchange_refuse(x, 500, "%s", e.message);
		return false;
	}
	if (x->request->body_size > x->limits.max_body) {
		exchange_refuse(x, 413, "the body has %llu bytes, allowed are %llu",
		    (unsigned long long)x->request->body_size,
		    (unsigned long long)x->limits.max_body);
		return false;
	}
	x->found.kind = kind_by_mode(&x->extension, x->found.kind);
	if (x->found.kind != SCRIPT_CGI)
		x->limits.lane = x->limits.workers;
	return add_environment(shared, x);
}

/* Wait for a place to run, in the extension's lane and among all runs. */
static bool admit(const struct front_shared *shared, struct exchange *x)
{
	const struct config *config = x->config;
	const struct lanes_limits wanted = {.language = x->found.language,
	    .lane = x->limits.lane,
	    .concurrency = config->concurrency,
	    .queue = config->queue,
	    .timeout = config->queue_timeout * CLOCK_SECOND};
	uint64_t began = clock_now();
	enum lanes_verdict verdict = LANES_GO;

	if (shared->run.stats != NULL)
		x->entry = stats_begin(shared->run.stats, x->request->id, x->route.name,
		    cgi_variables_text(&x->request->variables, "FOSSIL_USER"));
	if (shared->lanes != NULL)
		verdict = lanes_enter(
		    shared->lanes, x->route.name, &wanted, x->request->response.fd, &x->lane);
	x->request->queued = clock_now() - began;
	switch (verdict) {
	case LANES_GO: break;
	case LANES_FULL:
		exchange_refuse(x, 503, "%llu requests wait already, --queue",
		    (unsigned long long)config->queue);
		break;
	case LANES_LATE:
		exchange_refuse(x, 503, "no place to run within %llu s, --queue-timeout",
		    (unsigned long long)config->queue_timeout);
		break;
	case LANES_GONE: exchange_leave(x, "the client went away while it waited"); break;
	}
	return verdict == LANES_GO;
}

static void run(const struct front_shared *shared, struct exchange *x)
{
	x->request->language = x->found.language;
	exchange_begin_reply(x);
	if (x->found.kind == SCRIPT_APP)
		x->reply.buffer = 0; /* an app's output is sent at once (PEP 3333) */
	if (x->found.kind == SCRIPT_CGI)
		run_script(&shared->run, x);
	else
		app_run(&shared->run, x);
	exchange_finish(x);
}

static void count(const struct front_shared *shared, const struct exchange *x)
{
	const struct stats_outcome outcome = {.extension = x->request->script,
	    .status = x->request->status,
	    .time = clock_now() - x->request->began,
	    .cpu = x->outcome.cpu,
	    .peak = x->outcome.peak,
	    .error = x->request->status >= 500 && x->outcome.reason[0] != '\0' ? x->outcome.reason
									       : NULL};

	stats_count(shared->run.stats, &outcome);
}
