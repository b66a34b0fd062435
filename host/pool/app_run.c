/*
 * The same guard as for a run (guard.c) watches a request to an app, with a pipe of its own for the
 * reply. What differs is that the worker goes on: it is given back, unless it died.
 *
 * A request that the worker has not begun, because it died before or its app has changed, goes to
 * another. Its body is a file that is read from its beginning, so nothing of it is lost.
 */
#include "pool/app_run.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"
#include "ipc/run_channel.h"
#include "pool/app_pool.h"
#include "request/request.h"
#include "request/route.h"
#include "request/script.h"
#include "run/guard.h"
#include "run/stats.h"
#include "run/verdict.h"

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define TRIES 8
#define SETTLE 5000000 /* nanoseconds that files are given to come to rest, more each time */

static bool attempt(struct run *run, const struct run_job *job);
static int hand_over(struct run *run, struct app_taken *taken);
static enum app_fate fate_of(const struct run *run);

void app_run(const struct run_shared *shared, const struct run_job *job, struct cgi_reply *reply,
    struct run_result *result)
{
	struct run run;
	bool begun = false;
	uint64_t left = TRIES + job->limits->workers; /* all of them may have died */
	int stale = 0;

	guard_begin(&run, shared, job, reply, result);
	run.app = true;
	while (!begun && !run.failed && stale < TRIES && left-- > 0) {
		if (stale > 1)
			nanosleep(&(struct timespec){.tv_nsec = stale * SETTLE}, NULL);
		begun = attempt(&run, job);
		stale += run.stale;
	}
	if (!begun)
		verdict_fail(&run, RUN_HOST, 503,
		    stale < TRIES ? "every app worker died before it began"
				  : "its files change all the time");
	guard_finish(&run);
}

/* true: a worker has begun it, and it has ended. */
static bool attempt(struct run *run, const struct run_job *job)
{
	struct app_taken taken;
	struct error e;
	int status;

	run->ended = run->order_unread = run->alive = run->retires = run->stale = run->dead = false;
	run->answer_at = 0;
	status = app_pool_take(run->shared->apps, job, &taken, &run->errors.kept, &e);
	if (status != 0) {
		verdict_fail(run, status == 504 ? RUN_TIMEOUT : RUN_HOST, status, "%s", e.message);
		return false;
	}
	run->process = *taken.process;
	run->process.output = -1;
	run->notices = *taken.notices;
	run->processes_left = run->limits->processes;
	if (hand_over(run, &taken) == 0) {
		stats_runs(run->shared->stats, run->entry, run->process.pid, run->process.handle);
		guard_run(run);
		stats_ends(run->shared->stats, run->entry);
	}
	fd_close(&run->process.output);
	/* The guard closes what has come to its end. */
	taken.process->errors = run->process.errors;
	*taken.notices = run->notices;
	app_pool_give_back(run->shared->apps, taken.worker, fate_of(run), run->settle);
	return !run->stale && !run->order_unread;
}

/* A worker that has died meanwhile does not take it: another shall. */
static int hand_over(struct run *run, struct app_taken *taken)
{
	struct run_order order = {.kind = RUN_ORDER_ANSWER,
	    .script = "",
	    .environment = run->request->variables.items,
	    .source = -1,
	    .code = -1,
	    .body = run->request->body,
	    .body_size = run->request->body_size,
	    .accept = taken->accept};
	int output[2];
	int result;

	if (pipe2(output, O_CLOEXEC) < 0) {
		verdict_fail(run, RUN_HOST, 503, "no pipe for the reply");
		run->alive = true;
		return -1;
	}
	run->process.output = output[0];
	order.output = output[1];
	if (order.body >= 0)
		lseek(order.body, 0, SEEK_SET);
	result = run_order_send(run->process.channel, &order);
	close(output[1]);
	if (result < 0) {
		run->order_unread = true;
		return -1;
	}
	escalation_init(
	    &run->end, &run->process, clock_now() + run->limits->timeout * CLOCK_SECOND);
	run->request->response.deadline = run->end.due;
	run->client_events = POLLIN;
	return 0;
}

static enum app_fate fate_of(const struct run *run)
{
	if (run->dead)
		return APP_FATE_DEAD;
	if (!run->alive || run->retires)
		return APP_FATE_ENDS;
	return run->stale ? APP_FATE_STALE : APP_FATE_ALIVE;
}
