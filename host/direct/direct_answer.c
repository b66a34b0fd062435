/*
 * Nobody guards this process from outside as the front guards a run: instead the slot tells the
 * guardian of each request, and it answers for a worker that died or takes too long.
 */
#include "direct/direct_answer.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "binding.h"
#include "config/config.h"
#include "direct/direct_setup.h"
#include "ipc/run_channel.h"
#include "ipc/scoreboard.h"
#include "request/access_log.h"
#include "request/exchange.h"
#include "request/request.h"
#include "run/stderr_log.h"
#include "worker/app_loaded.h"
#include "worker/app_reply.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define USAGE_READ_FROM_NS 1000000 /* no getrusage(2) for a request that took less time */

/* One request, from its call to the end of its reply. */
struct direct_turn {
	struct exchange *x;
	struct binding_reply out;
	uint64_t began;
};

static int set_path(struct direct_answering *a, struct request *r, struct error *e);
static void begin_turn(struct direct_answering *a, struct direct_turn *t);
static void finish_turn(struct direct_answering *a, int outcome);
static void judge(struct direct_turn *t, int outcome);
static void take_usage(struct direct_answering *a, struct outcome *o);
static void show_end(struct direct_answering *a, const struct request *r);

void direct_answer_request(struct direct_answering *a, struct exchange *x)
{
	struct request *r = x->request;
	struct direct_turn turn = {.x = x};
	struct binding_call call = {.body = r->body, .body_size = r->body_size, .reply = &turn.out};
	struct error e = {""};
	int status = set_path(a, r, &e);

	if (status == 0 && (request_complete_variables(r, &e) < 0 ||
			       request_add_environment(r, &a->app->environment,
				   a->app->app.rerun || !a->app->binding->apart, &e) < 0))
		status = 500;
	if (status != 0) {
		exchange_refuse(x, status, "%s", e.message);
		exchange_log(x);
		return;
	}
	call.environment = r->variables.items;
	begin_turn(a, &turn);
	finish_turn(a, app_answer(a->app, &call));
}

void direct_answer_end(void *answering, int status)
{
	struct direct_answering *a = answering;

	if (a->turn != NULL)
		finish_turn(a, BINDING_RETIRE | (status != 0 ? BINDING_FAILED : 0));
	log_flush(&a->setup->log);
}

/* The app is at the prefix, and the rest of the path is PATH_INFO. 0 or a status. */
static int set_path(struct direct_answering *a, struct request *r, struct error *e)
{
	const struct config *config = &a->setup->config;
	const struct script_place place = {.file = a->app->app.run->script,
	    .root = config->root,
	    .prefix = config->prefix,
	    .name = ""};
	char buffer[REQUEST_PATH_MAX];
	const char *rest = "";

	if (!r->relay) {
		rest = request_path(r, config->prefix, buffer, sizeof(buffer), e);
		if (rest == NULL || route_check_path(rest, e) < 0)
			return 404;
	}
	return request_name_script(r, &place, rest, e);
}

static void copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

void direct_answer_show(const struct direct_setup *setup, const struct request *r, uint32_t place)
{
	struct scoreboard_request *shown = &setup->slot->shown[place];

	memcpy(shown->id, r->id, sizeof(shown->id));
	copy(shown->method, sizeof(shown->method),
	    cgi_variables_text(&r->variables, "REQUEST_METHOD"));
	access_log_path(r, shown->path, sizeof(shown->path));
	shown->keeps = false;
	shown->request_id = r->response.request_id;
	atomic_store_explicit(&shown->began, r->began, memory_order_relaxed);
}

static void set_errors_aside(struct direct_answering *a, const struct exchange *x)
{
	if (!exchange_shows_errors(x))
		return;
	if (a->errors < 0)
		a->errors = fd_memory_file("exthost-errors");
	if (a->log < 0)
		a->log = fd_dup_high(STDERR_FILENO);
	if (a->errors < 0 || a->log < 0)
		return;
	atomic_store(&a->setup->slot->errors_log, a->log);
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
	atomic_store(&a->setup->slot->errors_log, -1);
	for (; (n = pread(a->errors, piece, sizeof(piece), at)) > 0; at += n) {
		fd_write_all(STDERR_FILENO, piece, (size_t)n);
		stderr_log_keep(errors, piece, (size_t)n);
	}
	/* A process that the request has left behind may hold it, and writes into no other page. */
	fd_close(&a->errors);
}

static void begin_turn(struct direct_answering *a, struct direct_turn *t)
{
	struct scoreboard_slot *slot = a->setup->slot;
	struct exchange *x = t->x;
	struct request *r = x->request;

	x->limits = x->config->limits;
	exchange_begin_reply(x);
	t->out = (struct binding_reply){.pipe = -1,
	    .reply = &x->reply,
	    .owner = a->app->app.run->channel->owner,
	    .memory = a->memory,
	    .lent = &slot->memory};
	if (!a->app->app.rerun)
		x->reply.buffer = 0; /* what it gives is wanted at once (PEP 3333) */
	x->reply.lazy = true;
	x->reply.sent = &slot->sent;
	t->began = clock_now();
	r->script = a->setup->name;
	r->response.begun = &slot->released;
	r->response.deadline = r->began + x->limits.timeout * CLOCK_SECOND;
	direct_answer_show(a->setup, r, a->place);
	slot->shown[a->place].keeps = a->keeps && r->behind.size == 0;
	atomic_store_explicit(&slot->place, a->place, memory_order_relaxed);
	atomic_store_explicit(&slot->deadline, r->response.deadline, memory_order_relaxed);
	atomic_store_explicit(&slot->released, false, memory_order_relaxed);
	atomic_store_explicit(&slot->sent, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->fd, r->response.fd, memory_order_relaxed);
	atomic_store_explicit(&slot->memory, -1, memory_order_relaxed);
	atomic_store_explicit(&slot->errors_log, -1, memory_order_relaxed);
	slot->behind_size = r->behind.size < WIRE_HEADER ? r->behind.size : WIRE_HEADER;
	memcpy(slot->behind, r->behind.data != NULL ? r->behind.data : "", slot->behind_size);
	r->response.aborted = &slot->aborted;
	r->response.turn = atomic_fetch_add(&slot->turn, 1) + 1;
	if (atomic_load(&slot->asleep) && atomic_exchange(&slot->asleep, false))
		eventfd_write(a->setup->alarm, 1);
	a->turn = t;
	set_errors_aside(a, x);
}

/* By its return, or because it has ended the process in the middle. */
static void finish_turn(struct direct_answering *a, int outcome)
{
	struct direct_turn *t = a->turn;
	struct exchange *x = t->x;
	struct response *response = &x->request->response;

	a->turn = NULL;
	a->retires = (outcome & BINDING_RETIRE) != 0;
	take_errors(a, &x->outcome.errors);
	/*
	 * A rerun that goes on has proved that nothing of the run is left which could write there.
	 */
	a->memory = app_reply_end(&t->out, a->app->app.rerun && !a->retires);
	judge(t, outcome);
	x->outcome.pid = getpid();
	exchange_finish(x);
	x->outcome.time = clock_now() - t->began;
	if (response->broken) {
		response_cut(response);
		response->failed = true;
	}
	/* At once: if the worker dies before, the guardian cuts the reply. */
	show_end(a, x->request);
	if (x->outcome.time > USAGE_READ_FROM_NS)
		take_usage(a, &x->outcome);
	exchange_log(x);
}

/* What the binding tells of the answer, and what has become of the client. */
static void judge(struct direct_turn *t, int outcome)
{
	struct outcome *o = &t->x->outcome;

	outcome_judge_client(o, &t->x->request->response, t->x->limits.timeout);
	if (t->out.refused)
		outcome_fail(o, OUTCOME_REPLY, 500, "%s", t->out.why.message);
	if ((outcome & BINDING_FAILED) != 0)
		outcome_fail(o, OUTCOME_EXITED, 500, "the app failed");
}

/* What short requests before it have used is in the sum: it used no more than the time it took. */
static void take_usage(struct direct_answering *a, struct outcome *o)
{
	struct rusage usage;

	app_take_usage(a->app, &usage);
	o->cpu = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
		 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	if (o->cpu > o->time / 1000)
		o->cpu = o->time / 1000;
	o->peak = (uint64_t)usage.ru_maxrss;
}

static void show_end(struct direct_answering *a, const struct request *r)
{
	struct scoreboard_slot *slot = a->setup->slot;
	uint64_t now = clock_now();

	/* The client may have sent the next one already. */
	slot->shown[a->place].request_id = 0;
	if (!slot->shown[a->place].keeps)
		atomic_store(&slot->begun[a->place], SCOREBOARD_NONE);
	atomic_store_explicit(&slot->ended, now, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->turn, 1, memory_order_release);
	atomic_fetch_add_explicit(&slot->requests, 1, memory_order_relaxed);
	if (r->status >= 500)
		atomic_fetch_add_explicit(&slot->failures, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->time, now - r->began, memory_order_relaxed);
}
