/*
 * A thread of the front guards each run. Four descriptors tell it everything: the script's output,
 * its standard error, the channel on which its end is told, and the client's connection.
 *
 * A run ends when the channel says so, and not when the pipes are closed: a process that the script
 * left behind may keep those open for ever. What the script wrote before its end is in the pipes by
 * then, so they are emptied once more without waiting.
 */
#include "run.h"

#include "error.h"
#include "fd.h"
#include "log.h"
#include "noticed.h"
#include "reply.h"
#include "request.h"
#include "request_process.h"
#include "route.h"
#include "run_channel.h"
#include "script.h"
#include "spares.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE 65536
#define SPARE_TRIES 8
#define ERRORS_KEPT 16384 /* bytes of standard error kept for the error page */
#define LOG_PIECE 2048    /* a line of standard error longer than this is logged in pieces */

struct run {
	const struct run_shared *shared;
	struct request *request;
	const struct route *route;
	int language;
	struct reply *reply;
	struct run_result *result;
	struct request_process process;
	struct buffer line; /* of standard error, while it is not complete */
	bool ended;         /* the channel has told it, or broke */
	bool untouched;     /* the process died before it took its order: another can run it */
	bool failed;
};

static int hand_over(struct run *run, int code);
static void guard(struct run *run);
static void take_output(struct run *run);
static void take_errors(struct run *run);
static void take_report(struct run *run);
static void empty_pipes(struct run *run);
static void end_process(const struct run *run);
static void fail(struct run *run, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void run_script(const struct run_shared *shared, struct request *request, const struct route *route,
    int language, int code, struct reply *reply, struct run_result *result)
{
	struct run run = {.shared = shared,
	    .request = request,
	    .route = route,
	    .language = language,
	    .reply = reply,
	    .result = result};

	*result = (struct run_result){0};
	for (int tries = 0; tries < SPARE_TRIES; tries++) {
		run.ended = run.untouched = false;
		if (hand_over(&run, code) < 0)
			return;
		guard(&run);
		empty_pipes(&run);
		end_process(&run);
		request_process_release(&run.process);
		if (!run.untouched || run.failed)
			break;
	}
	if (run.untouched)
		fail(&run, 503, "every request process died before it began");
	buffer_release(&run.line);
	result->whole = !run.failed;
}

/* A spare can have died while it waited; then the next one is taken. */
static int hand_over(struct run *run, int code)
{
	char *path = NULL;
	struct run_order order = {.environment = run->request->variables.items,
	    .source = run->route->file,
	    .code = code,
	    .body = run->request->body};
	struct error e;
	int result = -1;

	if (asprintf(&path, "%s/%s", strcmp(run->shared->root, "/") == 0 ? "" : run->shared->root,
		run->route->name) < 0) {
		fail(run, 500, "out of memory");
		return -1;
	}
	order.script = path;
	for (int tries = 0; result < 0 && tries < SPARE_TRIES; tries++) {
		if (spares_take(run->shared->spares, run->language, &run->process, &e) < 0)
			break;
		result = run_order_send(run->process.channel, &order);
		if (result < 0) {
			error_errno(&e, "hand over to process %d", (int)run->process.pid);
			request_process_release(&run->process);
		}
	}
	free(path);
	if (result < 0)
		fail(run, 503, "%s", e.message);
	return result;
}

static void guard(struct run *run)
{
	struct pollfd events[] = {{.fd = run->process.output, .events = POLLIN},
	    {.fd = run->process.errors, .events = POLLIN},
	    {.fd = run->process.channel, .events = POLLIN},
	    {.fd = run->request->response.fastcgi ? run->request->response.fd : -1, .events = 0}};

	while (!run->ended && !run->failed) {
		if (poll(events, 4, -1) < 0)
			continue;
		if (events[0].revents != 0)
			take_output(run);
		if (events[1].revents != 0)
			take_errors(run);
		if (events[2].revents != 0)
			take_report(run);
		if (events[3].revents != 0 || run->request->response.failed) {
			run->result->client_gone = true;
			fail(run, 499, "the client went away");
		}
		/* A pipe that the script has closed has nothing more to tell. */
		events[0].fd = run->process.output;
		events[1].fd = run->process.errors;
	}
}

/* Read once. The number of bytes; 0 and the descriptor closed at its end; -1 when there are none. */
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

	if (n > 0 && reply_feed(run->reply, piece, (size_t)n, &e) < 0)
		fail(run, 500, "%s", e.message);
}

static void log_script_line(const struct run *run, const char *text, size_t size)
{
	struct log_line line;

	log_begin(&line, run->shared->log, LEVEL_INFO, run->request->id, text, size);
	log_string(&line, "script", run->route->name);
	log_string(&line, "stream", "stderr");
	log_end(&line);
}

/* What is kept for the error page is the end: that is where a traceback says what it was. */
static void keep_errors(struct buffer *kept, const char *data, size_t size)
{
	buffer_append(kept, data, size);
	if (kept->size > ERRORS_KEPT)
		buffer_consume(kept, kept->size - ERRORS_KEPT);
}

static void log_lines(struct run *run)
{
	while (run->line.size > 0) {
		char *newline = memchr(run->line.data, '\n', run->line.size);
		size_t size = newline != NULL ? (size_t)(newline - run->line.data) : run->line.size;
		bool long_line = size > LOG_PIECE;

		if (newline == NULL && !long_line)
			return;
		if (long_line)
			size = LOG_PIECE;
		log_script_line(run, run->line.data, size);
		buffer_consume(&run->line, long_line ? size : size + 1);
	}
}

static void take_errors(struct run *run)
{
	char piece[4096];
	ssize_t n =
	    run->process.errors >= 0 ? read_pipe(&run->process.errors, piece, sizeof(piece)) : 0;

	if (n > 0) {
		keep_errors(&run->result->errors, piece, (size_t)n);
		buffer_append(&run->line, piece, (size_t)n);
	}
	log_lines(run);
}

static void judge_exit(struct run *run, int status)
{
	if (status != 0)
		fail(run, 500, "exit status %d", status);
}

static void judge_death(struct run *run, int wait_status)
{
	if (WIFSIGNALED(wait_status))
		fail(run, 500, "ended by signal %d (%s)", WTERMSIG(wait_status),
		    strsignal(WTERMSIG(wait_status)));
	else
		judge_exit(run, WEXITSTATUS(wait_status));
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

	return poll(&event, 1, 1000) > 0 &&
	       run_report_receive(run->process.channel, &report, &descriptor) < 0 &&
	       errno == ECONNRESET;
}

static void take_report(struct run *run)
{
	struct run_report report;
	FD_OWNED int descriptor = -1;
	int n = run_report_receive(run->process.channel, &report, &descriptor);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		run->ended = true;
		run->untouched = n < 0 && errno == ECONNRESET;
		if (!run->untouched)
			fail(run, 500, "the template went away");
		return;
	}
	switch (report.type) {
	case RUN_ENDED:
		run->ended = true;
		judge_exit(run, report.value);
		break;
	case RUN_DIED:
		run->ended = true;
		run->untouched = left_order(run);
		if (!run->untouched)
			judge_death(run, report.value);
		break;
	case RUN_CODE:
		if (descriptor >= 0)
			scripts_keep(run->shared->scripts, &run->route->status, descriptor);
		break;
	case RUN_NOTICED: noticed_add(run->shared->noticed, run->language, report.text); break;
	default: break;
	}
}

static bool is_readable(int fd)
{
	struct pollfd event = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&event, 1, 0) > 0;
}

/* Both pipes hold by now all that was written before the end was told. */
static void empty_pipes(struct run *run)
{
	while (!run->failed && is_readable(run->process.output))
		take_output(run);
	while (is_readable(run->process.errors))
		take_errors(run);
	if (run->line.size > 0) {
		log_script_line(run, run->line.data, run->line.size);
		run->line.size = 0;
	}
}

/* The process has told its end or is not wanted any more; so are those that it left behind. */
static void end_process(const struct run *run)
{
	kill(-run->process.pid, SIGKILL);
}

static void fail(struct run *run, int status, const char *format, ...)
{
	va_list arguments;

	if (run->failed)
		return;
	run->failed = true;
	run->result->status = status;
	va_start(arguments, format);
	vsnprintf(run->result->reason, sizeof(run->result->reason), format, arguments);
	va_end(arguments);
}
