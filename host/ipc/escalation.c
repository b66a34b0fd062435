/*
 * Signals go through the process's pidfd, so that they never reach another process that has got its
 * number; where the kernel (before 6.9) cannot reach a whole group that way, by the group's number,
 * which stays taken while the group has members.
 */
#include "ipc/escalation.h"

#include "base/clock.h"
#include "ipc/run_channel.h"
#include "template/request_process.h"

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP 4U
#endif

#define ASKED_FOR (1000 * CLOCK_MILLISECOND)
#define TERM_FOR (2000 * CLOCK_MILLISECOND)
#define KILL_AGAIN (1000 * CLOCK_MILLISECOND)

void run_end_init(struct run_end *end, const struct request_process *process, uint64_t deadline)
{
	*end = (struct run_end){.process = process, .due = deadline};
}

static void signal_group(const struct run_end *end, int number)
{
	if (syscall(SYS_pidfd_send_signal, end->process->handle, number, NULL,
		PIDFD_SIGNAL_PROCESS_GROUP) < 0 &&
	    end->process->pid > 1)
		kill(-end->process->pid, number);
}

static enum run_stage enter(struct run_end *end, enum run_stage stage, uint64_t after)
{
	end->stage = stage;
	end->due = clock_now() + after;
	return stage;
}

void run_end_ask(struct run_end *end)
{
	if (end->stage != RUN_GOES_ON)
		return;
	syscall(SYS_pidfd_send_signal, end->process->handle, RUN_STACK_SIGNAL, NULL, 0);
	enter(end, RUN_ASKED, ASKED_FOR);
}

void run_end_begin(struct run_end *end)
{
	if (end->stage >= RUN_TERMED)
		return;
	signal_group(end, SIGTERM);
	enter(end, RUN_TERMED, TERM_FOR);
}

int run_end_timeout(const struct run_end *end)
{
	return clock_left(end->due);
}

enum run_stage run_end_step(struct run_end *end)
{
	if (clock_now() < end->due)
		return RUN_GOES_ON;
	switch (end->stage) {
	case RUN_GOES_ON: run_end_ask(end); return RUN_ASKED;
	case RUN_ASKED: run_end_begin(end); return RUN_TERMED;
	case RUN_TERMED:
	case RUN_KILLED: break;
	}
	signal_group(end, SIGKILL);
	end->kills++;
	return enter(end, RUN_KILLED, KILL_AGAIN);
}

void run_end_sweep(const struct run_end *end)
{
	signal_group(end, SIGKILL);
}
