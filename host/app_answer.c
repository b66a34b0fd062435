/*
 * Nobody guards this process from outside as the front guards a run: instead the slot tells the
 * guardian of each request, and it answers for a worker that died or takes too long.
 */
#include "app_answer.h"

#include "answer_log.h"
#include "app_loaded.h"
#include "app_reply.h"
#include "app_serve_setup.h"
#include "app_slot.h"
#include "error.h"
#include "reply.h"
#include "request.h"
#include "run_channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ULL

static int set_path(struct app_answering *a, struct request *r, struct error *e);
static void begin_turn(struct app_answering *a, struct request *r);
static void end_turn(struct app_answering *a, struct request *r);
static void run_app(
    struct app_answering *a, struct request *r, struct reply *reply, struct run_result *result);
static void end_well(void *user, int status);
static void fail(struct request *r, const struct reply *reply, const struct run_result *result);

/* What is known of a request when its app ends the worker. */
struct turn {
	struct app_answering *a;
	struct request *request;
	struct binding_reply *reply;
	uint64_t began;
};

bool app_answer_request(struct app_answering *a, struct request *r)
{
	struct limits *limits = &a->setup->config.limits;
	struct run_result result = {.whole = true, .why = RUN_EXITED};
	struct error e = {""};
	struct reply reply;
	int status = set_path(a, r, &e);

	if (status == 0 && request_complete_variables(r, &e) < 0)
		status = 500;
	if (status != 0) {
		reply_error_page(r, status, NULL, 0);
		answer_log(&a->shared, r, NULL, e.message);
		return !r->response.failed;
	}
	r->script = a->setup->name;
	reply_init(&reply, r, &a->setup->config, limits);
	reply.buffer = a->app->app.rerun ? reply.buffer : 0;
	reply.lazy = true;
	begin_turn(a, r);
	run_app(a, r, &reply, &result);
	a->retires = a->app->must_end;
	a->worn = a->app->worn;
	if (!result.whole)
		fail(r, &reply, &result);
	end_turn(a, r);
	answer_log(&a->shared, r, &result, result.whole ? NULL : result.reason);
	reply_release(&reply);
	r->script = NULL;
	return !r->response.failed;
}

/* The app is below the prefix, and the rest of the path is PATH_INFO. From the relay both are Fossil's. */
static int set_path(struct app_answering *a, struct request *r, struct error *e)
{
	const struct config *config = &a->setup->config;
	char buffer[4096];
	const char *rest = "";
	size_t prefix = strlen(config->prefix);

	if (!r->relay) {
		rest = request_path(r, config->prefix, buffer, sizeof(buffer), e);
		if (rest == NULL)
			return 404;
		while (prefix > 0 && config->prefix[prefix - 1] == '/')
			prefix--;
		if (variables_set(&r->variables, "PATH_INFO", rest) < 0)
			return 500;
		/* Short, as it is the front of the path that was taken apart. */
		snprintf(buffer, sizeof(buffer), "%.*s", (int)prefix, config->prefix);
		if (variables_set(&r->variables, "SCRIPT_NAME", buffer) < 0)
			return 500;
	}
	if (variables_set(&r->variables, "SCRIPT_FILENAME", a->app->app.run->script) < 0 ||
	    variables_set(&r->variables, "DOCUMENT_ROOT", config->root) < 0)
		return 500;
	return 0;
}

static void copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

static void begin_turn(struct app_answering *a, struct request *r)
{
	struct app_slot *slot = a->setup->slot;

	r->response.deadline = r->began + a->setup->config.limits.timeout * SECOND;
	r->response.begun = &slot->released;
	slot->request_id = r->response.request_id;
	memcpy(slot->id, r->id, sizeof(slot->id));
	copy(slot->method, sizeof(slot->method), variables_text(&r->variables, "REQUEST_METHOD"));
	copy(slot->uri, sizeof(slot->uri), variables_text(&r->variables, "REQUEST_URI"));
	atomic_store_explicit(&slot->began, r->began, memory_order_relaxed);
	atomic_store_explicit(&slot->deadline, r->response.deadline, memory_order_relaxed);
	atomic_store_explicit(&slot->released, false, memory_order_relaxed);
	atomic_store_explicit(&slot->fd, r->response.fd, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->turn, 1, memory_order_release);
}

static void end_turn(struct app_answering *a, struct request *r)
{
	struct app_slot *slot = a->setup->slot;

	r->response.begun = NULL;
	atomic_fetch_add_explicit(&slot->turn, 1, memory_order_release);
	atomic_fetch_add_explicit(&slot->requests, 1, memory_order_relaxed);
	if (r->status >= 500)
		atomic_fetch_add_explicit(&slot->failures, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->time, request_clock() - r->began, memory_order_relaxed);
}

static void judge(struct run_result *result, enum run_why why, int status, const char *reason)
{
	if (!result->whole)
		return;
	result->whole = false;
	result->why = why;
	result->status = status;
	snprintf(result->reason, sizeof(result->reason), "%.*s", (int)sizeof(result->reason) - 1,
	    reason);
}

/* What the binding said of the answer. result->whole: the reply is on its way, to its end. */
static void run_app(
    struct app_answering *a, struct request *r, struct reply *reply, struct run_result *result)
{
	struct binding_reply out = {.pipe = -1,
	    .reply = reply,
	    .memory = a->memory};
	struct binding_call call = {.environment = r->variables.items,
	    .body = r->body,
	    .body_size = r->body_size,
	    .reply = &out};
	struct turn turn = {.a = a, .request = r, .reply = &out, .began = request_clock()};
	struct run_channel *channel = a->app->app.run->channel;
	struct rusage usage;
	int outcome;
	struct error e;

	channel->user = &turn;
	channel->leave = end_well;
	outcome = app_answer(a->app, &call, &usage);
	channel->leave = NULL;
	app_reply_take_memory(&out);
	a->memory = out.memory;
	if (out.refused)
		judge(result, RUN_REPLY, 500, out.why.message);
	if (r->response.failed)
		judge(result, RUN_CLIENT, 499, "the client went away");
	if ((outcome & BINDING_FAILED) != 0)
		judge(result, RUN_EXITED, 500, "the app failed");
	if (result->whole && reply_finish(reply, &e) < 0)
		judge(result, RUN_REPLY, 500, e.message);
	result->time = request_clock() - turn.began;
	result->cpu = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
		      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	result->peak = (uint64_t)usage.ru_maxrss;
}

/* The app ends the worker, as `exit` does in Tcl. With status 0 what it has written is the reply. */
static void end_well(void *user, int status)
{
	struct turn *turn = user;
	struct request *r = turn->request;
	struct run_result result = {.whole = true, .why = RUN_EXITED};
	struct error e;

	if (status != EXIT_SUCCESS)
		return; /* the guardian's affair */
	app_reply_take_memory(turn->reply);
	if (turn->reply->refused || r->response.failed || reply_finish(turn->reply->reply, &e) < 0)
		return;
	result.time = request_clock() - turn->began;
	end_turn(turn->a, r);
	answer_log(&turn->a->shared, r, &result, NULL);
}

static void fail(struct request *r, const struct reply *reply, const struct run_result *result)
{
	if (result->why == RUN_CLIENT) {
		r->status = 499;
		r->response.failed = true;
	} else if (reply->released) {
		response_cut(&r->response);
		r->response.failed = true;
	} else {
		reply_error_page(r, result->status, NULL, 0);
	}
}
