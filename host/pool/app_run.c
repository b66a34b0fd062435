/*
 * The guard of a run (guard.c) also watches a request to an app, with a pipe of its own for the
 * reply. The difference is that the worker goes on: it is given back to the pool, unless it died.
 *
 * A request that its worker has not begun, because the worker died before or the app has changed,
 * goes to another worker. The body is a file that is read from its beginning, so nothing of it is
 * lost.
 */
#include "pool/app_run.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"
#include "ipc/run_channel.h"
#include "pool/app_pool.h"
#include "request/exchange.h"
#include "request/request.h"
#include "run/guard.h"
#include "run/stats.h"
#include "run/verdict.h"

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define TRIES 8
#define STALE_DELAY_NS 5000000 /* times the number of stale attempts: for the files to settle */

static bool attempt(struct run *run);
static int hand_over(struct run *run, struct app_taken *taken);
static enum app_fate fate_of(const struct run *run);

void app_run(const struct run_shared *shared, struct exchange *x)
{
	struct run run;
	bool begun = false;
	uint64_t left = TRIES + x->limits.workers; /* all workers may have died */
	int stale = 0;

	guard_begin(&run, shared, x);
	run.app = true;
	while (!begun && x->outcome.whole && stale < TRIES && left-- > 0) {
		if (stale > 1)
			nanosleep(&(struct timespec){.tv_nsec = stale * STALE_DELAY_NS}, NULL);
		begun = attempt(&run);
		stale += run.state == RUN_STATE_STALE;
	}
	if (!begun)
		outcome_fail(&x->outcome, OUTCOME_HOST, 503,
		    stale < TRIES ? "every app worker died before it began"
				  : "the app's files keep changing");
	guard_finish(&run);
}

/* true: a worker has begun the request, and it has ended. */
static bool attempt(struct run *run)
{
	struct app_taken taken;
	struct error e;
	int status;

	run->state = RUN_STATE_GOING;
	run->answer_at = 0;
	status = app_pool_take(run->shared->apps, run->x, &taken, &run->errors.kept, &e);
	if (status != 0) {
		outcome_fail(&run->x->outcome, status == 504 ? OUTCOME_TIMEOUT : OUTCOME_HOST,
		    status, "%s", e.message);
		return false;
	}
	run->process = *taken.process;
	run->process.output = -1;
	run->notices = *taken.notices;
	run->processes_left = run->x->limits.processes;
	if (hand_over(run, &taken) == 0) {
		stats_runs(
		    run->shared->stats, run->x->entry, run->process.pid, run->process.handle);
		guard_run(run);
		stats_ends(run->shared->stats, run->x->entry);
	}
	fd_close(&run->process.output);
	/* The guard has closed what has ended. */
	taken.process->errors = run->process.errors;
	*taken.notices = run->notices;
	app_pool_give_back(run->shared->apps, taken.worker, fate_of(run), run->settle);
	return run->state != RUN_STATE_STALE && run->state != RUN_STATE_UNREAD &&
	       run->state != RUN_STATE_UNSENT;
}

/* A worker that has died since does not take the order; another one gets it. */
static int hand_over(struct run *run, struct app_taken *taken)
{
	struct run_order order = {.kind = RUN_ORDER_ANSWER,
	    .script = "",
	    .environment = run->x->request->variables.items,
	    .source = -1,
	    .code = -1,
	    .body = run->x->request->body,
	    .body_size = run->x->request->body_size,
	    .accept = taken->accept};
	int output[2];
	int result;

	if (pipe2(output, O_CLOEXEC) < 0) {
		outcome_fail(&run->x->outcome, OUTCOME_HOST, 503, "no pipe for the reply");
		run->state = RUN_STATE_ALIVE;
		return -1;
	}
	run->process.output = output[0];
	order.output = output[1];
	if (order.body >= 0)
		lseek(order.body, 0, SEEK_SET);
	result = run_order_send(run->process.channel, &order);
	close(output[1]);
	if (result < 0) {
		run->state = RUN_STATE_UNSENT;
		return -1;
	}
	escalation_init(
	    &run->end, &run->process, clock_now() + run->x->limits.timeout * CLOCK_SECOND);
	run->x->request->response.deadline = run->end.due;
	run->client_events = POLLIN;
	return 0;
}

static enum app_fate fate_of(const struct run *run)
{
	switch (run->state) {
	case RUN_STATE_DEAD:
	case RUN_STATE_UNREAD: return APP_FATE_DEAD;
	case RUN_STATE_STALE: return APP_FATE_STALE;
	case RUN_STATE_ALIVE: return APP_FATE_ALIVE;
	default: return APP_FATE_ENDS;
	}
}
