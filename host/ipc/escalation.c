/*
 * Signals go through the process's pidfd, so that they never reach another process that has the
 * number by now. If the kernel (before 6.9) cannot signal a whole group that way, the group's
 * number is used, which stays taken as long as the group has members.
 */
#include "ipc/escalation.h"

#include "base/clock.h"
#include "ipc/run_channel.h"
#include "ipc/process_handle.h"

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP 4U
#endif

#define STACK_GRACE_NS (1000 * CLOCK_MILLISECOND)
#define TERM_GRACE_NS (2000 * CLOCK_MILLISECOND)
#define KILL_AGAIN_NS (1000 * CLOCK_MILLISECOND)

void escalation_init(
    struct escalation *end, const struct process_handle *process, uint64_t deadline)
{
	*end = (struct escalation){.process = process, .due = deadline};
}

static void signal_group(const struct escalation *end, int number)
{
	if (syscall(SYS_pidfd_send_signal, end->process->handle, number, NULL,
		PIDFD_SIGNAL_PROCESS_GROUP) < 0 &&
	    end->process->pid > 1)
		kill(-end->process->pid, number);
}

static enum escalation_stage enter(
    struct escalation *end, enum escalation_stage stage, uint64_t after)
{
	end->stage = stage;
	end->due = clock_now() + after;
	return stage;
}

void escalation_ask(struct escalation *end)
{
	if (end->stage != ESCALATION_GOES_ON)
		return;
	syscall(SYS_pidfd_send_signal, end->process->handle, RUN_STACK_SIGNAL, NULL, 0);
	enter(end, ESCALATION_ASKED, STACK_GRACE_NS);
}

void escalation_begin(struct escalation *end)
{
	if (end->stage >= ESCALATION_TERMED)
		return;
	signal_group(end, SIGTERM);
	enter(end, ESCALATION_TERMED, TERM_GRACE_NS);
}

int escalation_timeout(const struct escalation *end)
{
	return clock_left(end->due);
}

enum escalation_stage escalation_step(struct escalation *end)
{
	if (clock_now() < end->due)
		return ESCALATION_GOES_ON;
	switch (end->stage) {
	case ESCALATION_GOES_ON: escalation_ask(end); return ESCALATION_ASKED;
	case ESCALATION_ASKED: escalation_begin(end); return ESCALATION_TERMED;
	case ESCALATION_TERMED:
	case ESCALATION_KILLED: break;
	}
	signal_group(end, SIGKILL);
	end->kills++;
	return enter(end, ESCALATION_KILLED, KILL_AGAIN_NS);
}

void escalation_sweep(const struct escalation *end)
{
	signal_group(end, SIGKILL);
}
