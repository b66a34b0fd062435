/*
 * A run from the front's side: take a request process, send it its order, guard the run (guard.c)
 * and release the process.
 */
#include "run/run.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/path.h"
#include "binding.h"
#include "config/config.h"
#include "ipc/run_channel.h"
#include "request/exchange.h"
#include "request/request.h"
#include "run/guard.h"
#include "run/spares.h"
#include "run/stats.h"
#include "run/verdict.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_TRIES 8
#define OUTPUT_DELAY_NS 2000000 /* a script's output is not read earlier */

static int hand_over(struct run *run);

void run_script(const struct run_shared *shared, struct exchange *x)
{
	struct run run;

	guard_begin(&run, shared, x);
	for (int tries = 0; tries < SPARE_TRIES; tries++) {
		run.state = RUN_STATE_GOING;
		run.answer_at = 0;
		if (hand_over(&run) < 0)
			break;
		stats_runs(shared->stats, x->entry, run.process.pid, run.process.handle);
		guard_run(&run);
		stats_ends(shared->stats, x->entry);
		process_handle_release(&run.process);
		fd_close(&run.notices);
		if (run.state != RUN_STATE_UNREAD || !x->outcome.whole)
			break;
	}
	if (run.state == RUN_STATE_UNREAD)
		outcome_fail(
		    &x->outcome, OUTCOME_HOST, 503, "every request process died before it began");
	guard_finish(&run);
}

/* A spare may have died while it waited; then the next one is taken. */
static int hand_over(struct run *run)
{
	const struct binding *binding =
	    scripts_bindings(run->shared->scripts)[run->x->found.language];
	char path[REQUEST_PATH_MAX];
	struct run_order order = {.kind = RUN_ORDER_SCRIPT,
	    .settings = config_language_values(&run->x->extension, binding),
	    .setting_count = binding->setting_count,
	    .environment = run->x->request->variables.items,
	    .source = run->x->route.file,
	    .code = run->x->found.code,
	    .body = run->x->request->body,
	    .output = -1,
	    .limits = {.memory = run->x->limits.memory,
		.cpu = run->x->limits.cpu,
		.processes = run->x->limits.processes}};
	struct error e;
	uint64_t now;
	int result = -1;

	if (path_join(path, sizeof(path), run->shared->root, run->x->route.name) < 0) {
		outcome_fail(&run->x->outcome, OUTCOME_HOST, 500, "the script's path is too long");
		return -1;
	}
	order.script = path;
	for (int tries = 0; result < 0 && tries < SPARE_TRIES; tries++) {
		if (spares_take(run->shared->spares, run->x->found.language, &run->process, &e) < 0)
			break;
		result = run_order_send(run->process.channel, &order);
		if (result < 0) {
			error_errno(&e, "send the order to process %d", (int)run->process.pid);
			process_handle_release(&run->process);
		}
	}
	if (result < 0) {
		outcome_fail(&run->x->outcome, OUTCOME_HOST, 503, "%s", e.message);
		return result;
	}
	now = clock_now();
	run->listen_at = now + OUTPUT_DELAY_NS;
	escalation_init(&run->end, &run->process, now + run->x->limits.timeout * CLOCK_SECOND);
	run->x->request->response.deadline = run->end.due;
	run->client_events = POLLIN;
	return 0;
}
