/*
 * Of all that can be wrong with a run the first counts: a process that is killed for taking too long
 * did not crash.
 */
#include "run/verdict.h"

#include "base/process.h"
#include "binding.h"
#include "config/config.h"
#include "ipc/run_channel.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define TEMPLATE_CLOSES 10000 /* milliseconds: it does at once, when it gets a processor */

static void judge_exit(struct run *run, int status)
{
	if (status != 0 && run->no_memory)
		verdict_fail(run, RUN_MEMORY, 500,
		    "exit status %d for want of memory, --memory is %llu", status,
		    (unsigned long long)run->limits->memory);
	else if (status != 0)
		verdict_fail(run, RUN_EXITED, 500, "exit status %d", status);
}

static void judge_death(struct run *run, int wait_status)
{
	char how[PROCESS_END_SIZE];

	if (!WIFSIGNALED(wait_status))
		judge_exit(run, WEXITSTATUS(wait_status));
	else if (run->no_memory)
		verdict_fail(run, RUN_MEMORY, 500, "ended for want of memory, --memory is %llu",
		    (unsigned long long)run->limits->memory);
	else {
		process_describe_death(how, sizeof(how), wait_status);
		verdict_fail(run, RUN_SIGNALLED, 500, "%s", how);
	}
}

/*
 * The process is dead: did it leave its order in the channel, unread? The kernel tells by a reset
 * once the template, too, has closed its end.
 */
static bool left_order(const struct run *run)
{
	struct pollfd event = {.fd = run->process.channel, .events = 0};
	struct run_report report;
	int descriptor;

	return poll(&event, 1, TEMPLATE_CLOSES) > 0 &&
	       run_report_receive(run->process.channel, &report, &descriptor) < 0 &&
	       errno == ECONNRESET;
}

void verdict_take_end(struct run *run, const struct run_report *report)
{
	run->ended = true;
	run->result->cpu = report->cpu;
	run->result->peak = report->peak;
	if (report->type == RUN_ENDED && !run->app) {
		judge_exit(run, report->value);
		return;
	}
	/* An app worker can end before it has seen its order: that is known when it is dead. */
	if (report->type == RUN_ENDED) {
		run->ended = false;
		return;
	}
	run->dead = true;
	run->order_unread = !run->failed && left_order(run);
	if (!run->order_unread)
		judge_death(run, report->value);
}

void verdict_take_answer(struct run *run, const struct run_report *report)
{
	run->ended = true;
	run->alive = run->end.stage < ESCALATION_TERMED;
	run->retires = (report->value & BINDING_RETIRE) != 0;
	run->result->cpu = report->cpu;
	run->result->peak = report->peak;
	if ((report->value & BINDING_FAILED) != 0 && run->no_memory)
		verdict_fail(run, RUN_MEMORY, 500, "no memory left, --memory is %llu",
		    (unsigned long long)run->limits->memory);
	else if ((report->value & BINDING_FAILED) != 0)
		verdict_fail(run, RUN_EXITED, 500, "the app failed");
}

void verdict_fail(struct run *run, enum run_why why, int status, const char *format, ...)
{
	va_list arguments;

	if (run->failed)
		return;
	run->failed = true;
	run->result->why = why;
	run->result->status = status;
	va_start(arguments, format);
	vsnprintf(run->result->reason, sizeof(run->result->reason), format, arguments);
	va_end(arguments);
}

const char *run_why_name(enum run_why why)
{
	static const char *const names[] = {
	    "exit", "signal", "timeout", "cpu", "memory", "reply", "client", "abort", "host"};

	return names[why];
}
