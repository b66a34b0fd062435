/*
 * Nobody guards this process from outside as the front guards a run: instead the slot tells the
 * guardian of each request, and it answers for a worker that died or takes too long.
 */
#include "direct/direct_answer.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "binding.h"
#include "direct/direct_setup.h"
#include "ipc/run_channel.h"
#include "ipc/scoreboard.h"
#include "request/access_log.h"
#include "request/cgi_reply.h"
#include "request/request.h"
#include "request/route.h"
#include "run/stderr_log.h"
#include "worker/app_loaded.h"
#include "worker/app_reply.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WORTH_A_LOOK 1000000 /* nanoseconds: below it is not asked what a request has used */

/* One request, from its call to the end of its reply. */
struct app_turn {
	struct request *request;
	struct cgi_reply reply;
	struct binding_reply out;
	struct run_result result;
	uint64_t began;
};

static int set_path(struct direct_answering *a, struct request *r, struct error *e);
static void begin_turn(struct direct_answering *a, struct app_turn *t);
static void finish_turn(struct direct_answering *a, int outcome);
static void judge(const struct direct_answering *a, struct app_turn *t, int outcome);
static void fail(struct direct_answering *a, struct app_turn *t);
static void take_usage(struct direct_answering *a, struct run_result *result);
static void show_end(struct direct_answering *a, const struct request *r);

bool direct_answer_request(struct direct_answering *a, struct request *r)
{
	struct app_turn turn = {.request = r};
	struct binding_call call = {.body = r->body, .body_size = r->body_size, .reply = &turn.out};
	struct error e = {""};
	int status = set_path(a, r, &e);

	if (status == 0 && request_complete_variables(r, &e) < 0)
		status = 500;
	if (status != 0) {
		error_page_send(r, status, NULL, 0);
		access_log_write(&a->shared, r, NULL, e.message);
		return !r->response.failed;
	}
	call.environment = r->variables.items;
	begin_turn(a, &turn);
	finish_turn(a, app_answer(a->app, &call));
	return !r->response.failed;
}

void direct_answer_end(void *answering, int status)
{
	struct direct_answering *a = answering;

	if (a->turn != NULL)
		finish_turn(a, BINDING_RETIRE | (status != 0 ? BINDING_FAILED : 0));
	log_flush(&a->setup->log);
}

/* The app is below the prefix, and the rest of the path is PATH_INFO. From the relay both are Fossil's. */
static int set_path(struct direct_answering *a, struct request *r, struct error *e)
{
	const struct config *config = &a->setup->config;
	char buffer[REQUEST_PATH_MAX];
	const char *rest = "";
	size_t prefix = strlen(config->prefix);

	if (!r->relay) {
		rest = request_path(r, config->prefix, buffer, sizeof(buffer), e);
		if (rest == NULL || route_check_path(rest, e) < 0)
			return 404;
		while (prefix > 0 && config->prefix[prefix - 1] == '/')
			prefix--;
		if (cgi_variables_set(&r->variables, "PATH_INFO", rest) < 0)
			return 500;
		/* There is room, as it is the front of the path that was taken apart. */
		memcpy(buffer, config->prefix, prefix);
		buffer[prefix] = '\0';
		if (cgi_variables_set(&r->variables, "SCRIPT_NAME", buffer) < 0)
			return 500;
	}
	if (cgi_variables_set(&r->variables, "SCRIPT_FILENAME", a->app->app.run->script) < 0 ||
	    cgi_variables_set(&r->variables, "DOCUMENT_ROOT", config->root) < 0)
		return 500;
	return 0;
}

static void copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

static void set_errors_aside(struct direct_answering *a)
{
	if (!a->setup->config.debug)
		return;
	if (a->errors < 0)
		a->errors = fd_memory_file("exthost-errors");
	if (a->log < 0)
		a->log = fd_dup_high(STDERR_FILENO);
	if (a->errors >= 0 && a->log >= 0)
		dup2(a->errors, STDERR_FILENO);
}

/* To the log, and into the buffer. */
static void take_errors(struct direct_answering *a, struct buffer *errors)
{
	char piece[4096];
	off_t at = 0;
	ssize_t n;

	if (a->errors < 0 || a->log < 0)
		return;
	dup2(a->log, STDERR_FILENO);
	for (; (n = pread(a->errors, piece, sizeof(piece), at)) > 0; at += n) {
		fd_write_all(STDERR_FILENO, piece, (size_t)n);
		stderr_log_keep(errors, piece, (size_t)n);
	}
	/* A process that the request has left behind may hold it, and writes into no other page. */
	fd_close(&a->errors);
}

static void begin_turn(struct direct_answering *a, struct app_turn *t)
{
	struct scoreboard_slot *slot = a->setup->slot;
	struct request *r = t->request;

	t->result = (struct run_result){.whole = true, .why = RUN_EXITED};
	t->out = (struct binding_reply){.pipe = -1,
	    .reply = &t->reply,
	    .owner = a->app->app.run->channel->owner,
	    .memory = a->memory,
	    .lent = &slot->memory};
	cgi_reply_init(&t->reply, r, &a->setup->config, &a->setup->config.limits);
	t->reply.buffer = a->app->app.rerun ? t->reply.buffer : 0;
	t->reply.lazy = true;
	t->reply.sent = &slot->sent;
	t->began = clock_now();
	r->script = a->setup->name;
	r->response.begun = &slot->released;
	r->response.deadline = r->began + a->setup->config.limits.timeout * CLOCK_SECOND;
	slot->request_id = r->response.request_id;
	memcpy(slot->id, r->id, sizeof(slot->id));
	copy(slot->method, sizeof(slot->method),
	    cgi_variables_text(&r->variables, "REQUEST_METHOD"));
	copy(slot->uri, sizeof(slot->uri), cgi_variables_text(&r->variables, "REQUEST_URI"));
	atomic_store_explicit(&slot->began, r->began, memory_order_relaxed);
	atomic_store_explicit(&slot->deadline, r->response.deadline, memory_order_relaxed);
	atomic_store_explicit(&slot->released, false, memory_order_relaxed);
	atomic_store_explicit(&slot->sent, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->fd, r->response.fd, memory_order_relaxed);
	atomic_store_explicit(&slot->memory, -1, memory_order_relaxed);
	slot->followed = r->followed;
	r->response.aborted = &slot->aborted;
	r->response.turn = atomic_fetch_add(&slot->turn, 1) + 1;
	if (atomic_load(&slot->asleep) && atomic_exchange(&slot->asleep, false))
		eventfd_write(a->setup->alarm, 1);
	a->turn = t;
	set_errors_aside(a);
}

/* By its return, or because it has ended the process in the middle. */
static void finish_turn(struct direct_answering *a, int outcome)
{
	struct app_turn *t = a->turn;
	struct request *r = t->request;

	a->turn = NULL;
	a->retires = (outcome & BINDING_RETIRE) != 0;
	take_errors(a, &t->result.errors);
	/* A rerun that goes on has proved that nothing of the run is left which could write there. */
	a->memory = app_reply_end(&t->out, a->app->app.rerun && !a->retires);
	judge(a, t, outcome);
	t->result.time = clock_now() - t->began;
	if (t->result.time > WORTH_A_LOOK)
		take_usage(a, &t->result);
	if (!t->result.whole)
		fail(a, t);
	r->response.begun = NULL;
	r->response.aborted = NULL;
	show_end(a, r);
	access_log_write(&a->shared, r, &t->result, t->result.whole ? NULL : t->result.reason);
	cgi_reply_release(&t->reply);
	buffer_release(&t->result.errors);
	r->script = NULL;
}

static void blame(struct run_result *result, enum run_why why, int status, const char *reason)
{
	if (!result->whole)
		return;
	result->whole = false;
	result->why = why;
	result->status = status;
	snprintf(result->reason, sizeof(result->reason), "%.*s", (int)sizeof(result->reason) - 1,
	    reason);
}

/* What the binding said of the answer. result.whole: the reply is on its way, to its end. */
static void judge(const struct direct_answering *a, struct app_turn *t, int outcome)
{
	struct error e;

	if (response_is_aborted(&t->request->response))
		blame(&t->result, RUN_ABORTED, 499, "the client aborted the request");
	if (t->out.refused)
		blame(&t->result, RUN_REPLY, 500, t->out.why.message);
	if (t->request->response.late) {
		error_set(&e, "longer than %llu s: the client takes no more",
		    (unsigned long long)a->setup->config.limits.timeout);
		blame(&t->result, RUN_TIMEOUT, 504, e.message);
	}
	if (t->request->response.failed)
		blame(&t->result, RUN_CLIENT, 499, "the client went away");
	if ((outcome & BINDING_FAILED) != 0)
		blame(&t->result, RUN_EXITED, 500, "the app failed");
	if (t->result.whole && cgi_reply_finish(&t->reply, &e) < 0)
		blame(&t->result, RUN_REPLY, 500, e.message);
}

/* What short requests before it have used is in the sum: it used no more than the time it took. */
static void take_usage(struct direct_answering *a, struct run_result *result)
{
	struct rusage usage;

	app_take_usage(a->app, &usage);
	result->cpu = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
		      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	if (result->cpu > result->time / 1000)
		result->cpu = result->time / 1000;
	result->peak = (uint64_t)usage.ru_maxrss;
}

/* As long as nothing has left, though it was let go, the failure is a clean one. */
static void fail(struct direct_answering *a, struct app_turn *t)
{
	struct request *r = t->request;

	if (t->result.why == RUN_CLIENT) {
		r->status = 499;
		r->response.failed = true;
	} else if (r->response.late) {
		r->response.failed = true; /* it is cut when the client takes more */
	} else if (t->result.why == RUN_ABORTED) {
		r->status = 499;
		r->response.waiting.size = 0;
		r->response.aborted = NULL;
		r->response.failed = r->response.given_up = false;
		response_end(&r->response);
	} else if (atomic_load_explicit(&a->setup->slot->released, memory_order_relaxed)) {
		response_cut(&r->response);
		r->response.failed = true;
	} else {
		r->response.waiting.size = 0;
		r->response.sent = 0;
		error_page_send(r, t->result.status, t->result.errors.data, t->result.errors.size);
	}
}

static void show_end(struct direct_answering *a, const struct request *r)
{
	struct scoreboard_slot *slot = a->setup->slot;
	uint64_t now = clock_now();

	atomic_store_explicit(&slot->ended, now, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->turn, 1, memory_order_release);
	atomic_fetch_add_explicit(&slot->requests, 1, memory_order_relaxed);
	if (r->status >= 500)
		atomic_fetch_add_explicit(&slot->failures, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->time, now - r->began, memory_order_relaxed);
}
