#include "run/verdict.h"

#include "base/process.h"
#include "binding.h"
#include "config/config.h"
#include "ipc/run_channel.h"
#include "request/exchange.h"
#include "request/request.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* For the template to close its end of the channel: it does so as soon as it gets a processor. */
#define TEMPLATE_CLOSE_TIMEOUT_MS 10000

static void judge_exit(struct run *run, int status)
{
	if (status != 0 && run->no_memory)
		outcome_fail(&run->x->outcome, OUTCOME_MEMORY, 500,
		    "exit status %d for want of memory, --memory is %llu", status,
		    (unsigned long long)run->x->limits.memory);
	else if (status != 0)
		outcome_fail(&run->x->outcome, OUTCOME_EXITED, 500, "exit status %d", status);
}

static void judge_death(struct run *run, int wait_status)
{
	char how[PROCESS_END_SIZE];

	if (!WIFSIGNALED(wait_status))
		judge_exit(run, WEXITSTATUS(wait_status));
	else if (run->no_memory)
		outcome_fail(&run->x->outcome, OUTCOME_MEMORY, 500,
		    "ended for want of memory, --memory is %llu",
		    (unsigned long long)run->x->limits.memory);
	else {
		process_describe_death(how, sizeof(how), wait_status);
		outcome_fail(&run->x->outcome, OUTCOME_SIGNALLED, 500, "%s", how);
	}
}

/*
 * The process is dead. true: it has left its order unread in the channel. The kernel shows that by
 * a reset once the template, too, has closed its end.
 */
static bool left_order(const struct run *run)
{
	struct pollfd event = {.fd = run->process.channel, .events = 0};
	struct run_report report;
	int descriptor;

	return poll(&event, 1, TEMPLATE_CLOSE_TIMEOUT_MS) > 0 &&
	       run_report_receive(run->process.channel, &report, &descriptor) < 0 &&
	       errno == ECONNRESET;
}

void verdict_take_end(struct run *run, const struct run_report *report)
{
	run->x->outcome.cpu = report->cpu;
	run->x->outcome.peak = report->peak;
	/* An app worker can end before it reads its order; only its death (RUN_DIED) shows that. */
	if (report->type == RUN_ENDED && run->app)
		return;
	if (report->type == RUN_ENDED) {
		run->state = RUN_STATE_OVER;
		judge_exit(run, report->value);
	} else if (run->x->outcome.whole && left_order(run)) {
		run->state = RUN_STATE_UNREAD;
	} else {
		run->state = RUN_STATE_DEAD;
		judge_death(run, report->value);
	}
}

void verdict_take_answer(struct run *run, const struct run_report *report)
{
	if (run->end.stage >= ESCALATION_TERMED)
		run->state = RUN_STATE_OVER;
	else
		run->state =
		    (report->value & BINDING_RETIRE) != 0 ? RUN_STATE_RETIRES : RUN_STATE_ALIVE;
	run->x->outcome.cpu = report->cpu;
	run->x->outcome.peak = report->peak;
	if ((report->value & BINDING_FAILED) != 0 && run->no_memory)
		outcome_fail(&run->x->outcome, OUTCOME_MEMORY, 500,
		    "no memory left, --memory is %llu", (unsigned long long)run->x->limits.memory);
	else if ((report->value & BINDING_FAILED) != 0)
		outcome_fail(&run->x->outcome, OUTCOME_EXITED, 500, "the app failed");
}
