/*
 * A thread of the front guards each run. It polls five descriptors: the script's output, its
 * standard error, the run channel (which reports the end), the client's connection and, if the
 * number of processes is limited, the notifications of seccomp.
 *
 * A run ends when the channel says so, and not when the pipes are closed: a process that the script
 * left behind may hold them open for ever. What the script wrote before its end is in the pipes by
 * then, so the guard empties them once more without waiting. No byte of a CGI reply is sent before
 * the reply is whole or large, so for the first milliseconds the guard does not read the output at
 * all: most scripts end within them, and each wake-up of a thread costs both processes.
 *
 * A script that closes its output and goes on has completed its reply. The guard then answers the
 * client, and the script goes on within its limits, still guarded.
 */
#include "run/guard.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/tuning.h"
#include "config/config.h"
#include "ipc/process_limit.h"
#include "ipc/run_channel.h"
#include "request/exchange.h"
#include "request/request.h"
#include "run/module_usage.h"
#include "run/stats.h"
#include "run/verdict.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 65536
#define ABANDONED_GRACE_NS (5 * CLOCK_SECOND) /* for an app to end a request that has failed */
#define OUTPUT_CLOSED_GRACE_NS (500 * CLOCK_MILLISECOND) /* for a process to end after its output */

static int milliseconds(const struct run *run);
static void take_output(struct run *run);
static void take_errors(struct run *run);
static void take_report(struct run *run);
static void take_notice(struct run *run);
static void look_at_client(struct run *run);
static void step(struct run *run);
static void answer_early(struct run *run);
static void empty_pipes(struct run *run);
static void log_stack(struct run *run, int file);

void guard_begin(struct run *run, const struct run_shared *shared, struct exchange *x)
{
	*run = (struct run){.shared = shared,
	    .x = x,
	    .notices = -1,
	    .errors = {.log = shared->log, .request = x->request->id, .script = x->route.name},
	    .began = clock_now()};
}

void guard_finish(struct run *run)
{
	stderr_log_end(&run->errors);
	run->x->outcome.errors = run->errors.kept;
	run->x->outcome.time = clock_now() - run->began;
	run->x->outcome.pid = run->process.pid;
	run->x->request->response.deadline = 0;
}

static bool listens(struct run *run)
{
	if (run->listen_at != 0 && clock_now() >= run->listen_at)
		run->listen_at = 0;
	return run->listen_at == 0;
}

void guard_run(struct run *run)
{
	const struct response *response = &run->x->request->response;

	while (run->state == RUN_STATE_GOING) {
		bool watched = response->fastcgi && !run->x->outcome.answered &&
			       run->x->outcome.whole && !run->left;
		struct pollfd events[] = {
		    {.fd = listens(run) ? run->process.output : -1, .events = POLLIN},
		    {.fd = run->process.errors, .events = POLLIN},
		    {.fd = run->process.channel, .events = POLLIN},
		    {.fd = run->notices, .events = POLLIN},
		    {.fd = watched ? response->fd : -1, .events = run->client_events}};

		if (poll(events, 5, milliseconds(run)) < 0)
			continue;
		if (events[0].revents != 0)
			take_output(run);
		if (events[1].revents != 0)
			take_errors(run);
		if (events[2].revents != 0)
			take_report(run);
		if (events[3].revents != 0)
			take_notice(run);
		if (events[4].revents != 0)
			look_at_client(run);
		step(run);
	}
	empty_pipes(run);
	if (run->state < RUN_STATE_ALIVE)
		escalation_sweep(&run->end);
}

static int milliseconds(const struct run *run)
{
	int left = escalation_timeout(&run->end);
	uint64_t next = run->answer_at != 0 ? run->answer_at : run->listen_at;
	int until = next != 0 ? clock_left(next) : left;

	return until < left ? until : left;
}

/*
 * End a failed run. An app worker serves other requests after this one, so it only finds its pipe
 * closed, and has ABANDONED_GRACE_NS to stop.
 */
static void end_failed(struct run *run)
{
	uint64_t due = clock_now() + ABANDONED_GRACE_NS;

	if (!run->app) {
		escalation_begin(&run->end);
		return;
	}
	/* The deadline may have passed because the client took nothing: no fault of the app's. */
	if (run->process.output >= 0 || run->end.due > due)
		run->end.due = due;
	fd_close(&run->process.output);
}

/* Act on deadlines that have passed and on a response that has failed. */
static void step(struct run *run)
{
	if (run->state != RUN_STATE_GOING)
		return;
	if (!run->left)
		outcome_judge_client(
		    &run->x->outcome, &run->x->request->response, run->x->limits.timeout);
	if (run->answer_at != 0 && clock_now() >= run->answer_at)
		answer_early(run);
	if (!run->x->outcome.whole && run->end.stage == ESCALATION_GOES_ON)
		end_failed(run);
	switch (escalation_step(&run->end)) {
	case ESCALATION_ASKED: outcome_fail_late(&run->x->outcome, run->x->limits.timeout); break;
	case ESCALATION_TERMED:
		log_message(run->shared->log, LEVEL_WARNING,
		    "[%s] %s did not say where it is: it waits, or is in a library in C",
		    run->x->request->id, run->x->route.name);
		break;
	case ESCALATION_KILLED:
		if (run->end.kills > 1)
			run->state = RUN_STATE_OVER;
		break;
	case ESCALATION_GOES_ON: break;
	}
}

/* Read once. The number of bytes; 0: end of file, and *fd is closed; -1: nothing to read now. */
static ssize_t read_pipe(int *fd, char *piece, size_t size)
{
	ssize_t n = read(*fd, piece, size);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		fd_close(fd);
		return 0;
	}
	return n;
}

static void take_output(struct run *run)
{
	char piece[PIECE];
	ssize_t n = read_pipe(&run->process.output, piece, sizeof(piece));
	struct error e;

	if (n == 0)
		run->answer_at = clock_now() + OUTPUT_CLOSED_GRACE_NS;
	/* The output of a failed run is dropped. */
	if (n > 0 && run->x->outcome.whole &&
	    cgi_reply_feed(&run->x->reply, piece, (size_t)n, &e) < 0)
		outcome_fail(&run->x->outcome, OUTCOME_REPLY, 500, "%s", e.message);
}

/*
 * The pidfd shows a death before the template reports it. A process that is still exiting loses its
 * memory, and so its /proc/PID/exe, before its descriptors.
 */
static bool is_ending(const struct run *run)
{
	struct pollfd event = {.fd = run->process.handle, .events = POLLIN};
	char program[64], first;

	snprintf(program, sizeof(program), "/proc/%d/exe", (int)run->process.pid);
	if (readlink(program, &first, 1) < 0 && errno == ENOENT && access("/proc/self", F_OK) == 0)
		return true;
	return poll(&event, 1, 0) > 0;
}

/* The output was closed and no end reported since. If the process is exiting, its end will be. */
static void answer_early(struct run *run)
{
	struct error e;

	run->answer_at = 0;
	if (!run->x->outcome.whole || is_ending(run))
		return;
	if (cgi_reply_finish(&run->x->reply, &e) < 0) {
		outcome_fail(&run->x->outcome, OUTCOME_REPLY, 500, "%s", e.message);
		return;
	}
	run->x->outcome.answered = true;
	/* The connection cannot take another request while this thread guards the run. */
	if (run->x->request->response.fastcgi)
		shutdown(run->x->request->response.fd, SHUT_RDWR);
}

static void take_errors(struct run *run)
{
	char piece[4096];
	ssize_t n =
	    run->process.errors >= 0 ? read_pipe(&run->process.errors, piece, sizeof(piece)) : 0;

	if (n > 0)
		stderr_log_add(&run->errors, piece, (size_t)n);
}

static void take_notice(struct run *run)
{
	int result = process_limit_answer(run->notices, &run->processes_left);

	if (result < 0)
		fd_close(&run->notices);
	if (result > 0 && !run->x->outcome.refused_process) {
		run->x->outcome.refused_process = true;
		log_message(run->shared->log, LEVEL_WARNING,
		    "[%s] %s: a process more than --processes %llu was refused",
		    run->x->request->id, run->x->route.name,
		    (unsigned long long)run->x->limits.processes);
	}
}

/*
 * Of the records that a client can send now, only ABORT_REQUEST has an effect at once; anything
 * else stays in the socket, which is then not polled for input any more. A client that has shut
 * down its sending side has not left: it may still read. If a client closes after it has its whole
 * reply (nginx does so with fastcgi_keep_conn on, before END_REQUEST), the run may finish its work.
 */
static void look_at_client(struct run *run)
{
	const struct response *response = &run->x->request->response;
	enum request_heard heard = request_listen(run->x->request);
	struct pollfd end = {.fd = response->fd, .events = 0};
	bool gone = poll(&end, 1, 0) > 0;

	run->client_events = heard == REQUEST_HEARD_NOTHING ? POLLIN : 0;
	if (gone && cgi_reply_is_sent(&run->x->reply))
		run->left = true;
	else if (gone || heard == REQUEST_HEARD_ABORT)
		outcome_fail_client(&run->x->outcome, !gone);
}

static void take_stack(struct run *run, int32_t cause, int file)
{
	if (cause == SIGXCPU)
		outcome_fail(&run->x->outcome, OUTCOME_CPU, 504,
		    "more than %llu s of processor time", (unsigned long long)run->x->limits.cpu);
	log_stack(run, file);
	if (!run->x->outcome.whole)
		escalation_begin(&run->end);
}

static void take_report(struct run *run)
{
	struct run_report report;
	FD_OWNED int descriptor = -1;
	int n = run_report_receive(run->process.channel, &report, &descriptor);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		run->state = n < 0 && errno == ECONNRESET && run->x->outcome.whole
				 ? RUN_STATE_UNREAD
				 : RUN_STATE_DEAD;
		if (run->state == RUN_STATE_DEAD)
			outcome_fail(&run->x->outcome, OUTCOME_HOST, 500, "the template went away");
		return;
	}
	switch (report.type) {
	case RUN_ENDED:
	case RUN_DIED: verdict_take_end(run, &report); break;
	case RUN_CODE:
		if (descriptor >= 0)
			scripts_keep(run->shared->scripts, &run->x->route.status, descriptor);
		break;
	case RUN_NOTICED:
		if (tuning_has(TUNING_NOTICED_MODULES))
			module_usage_add(run->shared->noticed, run->x->found.language, report.text);
		break;
	case RUN_STACK:
		if (descriptor >= 0)
			take_stack(run, report.value, descriptor);
		break;
	case RUN_ANSWERED: verdict_take_answer(run, &report); break;
	case RUN_STALE:
		run->state = RUN_STATE_STALE;
		run->settle = report.value;
		break;
	case RUN_NO_MEMORY: run->no_memory = true; break;
	case RUN_PROCESSES:
		fd_close(&run->notices);
		run->notices = descriptor;
		run->processes_left = run->x->limits.processes;
		descriptor = -1;
		break;
	default: break;
	}
}

/* Line by line, with the tags of the script's standard error. */
static void log_stack(struct run *run, int file)
{
	char text[16384];
	ssize_t n = pread(file, text, sizeof(text), 0);

	/* A stack that the control socket asked for goes only there. */
	if (n <= 0 || (run->x->outcome.whole &&
			  stats_answer(run->shared->stats, run->x->entry, text, (size_t)n)))
		return;
	/* An app worker may have been asked during an earlier request. */
	if (run->app && run->x->outcome.whole)
		return;
	stderr_log_add_stack(&run->errors, text, (size_t)n);
}

static bool is_readable(int fd)
{
	struct pollfd event = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&event, 1, 0) > 0;
}

/* Both pipes now hold all that was written before the end was reported. */
static void empty_pipes(struct run *run)
{
	while (
	    run->x->outcome.whole && !run->x->outcome.answered && is_readable(run->process.output))
		take_output(run);
	while (is_readable(run->process.errors))
		take_errors(run);
}
