/*
 * The guard of a run, as the front's thread runs it. The request process only waits: the test
 * writes its output and its notices, and sets the time. poll(2) is replaced, so that a test can act
 * between two calls of it.
 */
#include "base/clock.h"
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "ipc/run_channel.h"
#include "net/wire.h"
#include "request/exchange.h"
#include "request/request.h"
#include "run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOKS_MOST 2000 /* a guard that polls more often spins */
#define PATIENCE 20000  /* milliseconds; a guard that waits longer fails its test */
#define PAGE "Content-Type: text/plain\n\nhello\n"

enum { OUTPUT, ERRORS, CHANNEL, NOTICES, CLIENT, WATCHED };

static struct {
	struct run run;
	struct run_shared shared;
	struct exchange x;
	struct request request;
	struct config config;
	struct log log;
	/* The other ends. */
	int output, errors, channel, client;
	/* What the guard did. */
	int looks, timeout;
	struct pollfd events[WATCHED];
	void (*at_look)(int look); /* called before each, from 1 on */
	bool at_once;              /* the time of each has come */
} t;

/* In the place of the C library's. */
int poll(struct pollfd *events, nfds_t count, int timeout)
{
	int most = timeout < 0 || timeout > PATIENCE ? PATIENCE : timeout;
	struct timespec time = {.tv_sec = most / 1000, .tv_nsec = most % 1000 * 1000000L};
	int n;

	if (count == WATCHED) {
		t.timeout = timeout;
		memcpy(t.events, events, sizeof(t.events));
		assert_in_range(++t.looks, 1, LOOKS_MOST);
		if (t.at_look != NULL)
			t.at_look(t.looks);
	}
	if (t.at_once)
		time = (struct timespec){0};
	n = ppoll(events, count, &time, NULL);
	if (n == 0 && most != timeout && !t.at_once)
		fail_msg("it waits for what does not come");
	return n;
}

/* A sanitizer keeps signals back around a fork: the parent waits for the byte. */
static void wait_for_signals(int ready)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)!write(ready, "", 1);
	fd_close_from(STDERR_FILENO + 1, -1);
	for (;;)
		pause();
}

static void open_process(struct process_handle *p)
{
	int ends[2];
	char byte;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	p->channel = ends[0];
	t.channel = ends[1];
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	p->output = ends[0];
	t.output = ends[1];
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	p->errors = ends[0];
	t.errors = ends[1];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0)
		wait_for_signals(ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	p->handle = (int)syscall(SYS_pidfd_open, p->pid, 0);
	assert_true(p->handle >= 0);
}

static int begin(void **state)
{
	int ends[2];

	(void)state;
	memset(&t, 0, sizeof(t));
	t.log = (struct log){.fd = fd_memory_file("unit")};
	t.shared = (struct run_shared){.root = "/", .log = &t.log};
	exchange_init(&t.x, &t.request, &t.config, &t.log);
	t.x.limits = (struct limits){.timeout = 30, .memory = 1000, .cpu = 7, .max_reply = 1 << 20};
	t.config = (struct config){.reply_buffer = 65536, .tmpdir = (char *)"/tmp"};
	t.x.route = (struct route){.name = (char *)"page.tiny", .file = -1};
	request_init(&t.request);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	t.request.response.fd = ends[0];
	t.client = ends[1];
	t.request.response.fastcgi = true;
	t.request.response.request_id = 1;
	exchange_begin_reply(&t.x);
	guard_begin(&t.run, &t.shared, &t.x);
	open_process(&t.run.process);
	escalation_init(&t.run.end, &t.run.process, clock_now() + 3600 * CLOCK_SECOND);
	t.request.response.deadline = t.run.end.due;
	t.run.client_events = POLLIN;
	return 0;
}

static int end(void **state)
{
	struct process_handle *p = &t.run.process;

	(void)state;
	syscall(SYS_pidfd_send_signal, p->handle, SIGKILL, NULL, 0);
	waitpid(p->pid, NULL, 0);
	fd_close(&t.output);
	fd_close(&t.errors);
	fd_close(&t.channel);
	fd_close(&t.client);
	fd_close(&t.log.fd);
	fd_close(&t.request.response.fd);
	process_handle_release(p);
	buffer_release(&t.x.outcome.errors);
	cgi_reply_release(&t.x.reply);
	request_release(&t.request);
	return 0;
}

/* The run is guarded to its end. */
static void guard(void)
{
	guard_run(&t.run);
	guard_finish(&t.run);
}

static void print(const char *text)
{
	assert_int_equal(write(t.output, text, strlen(text)), strlen(text));
}

static void report(enum run_report_type type, int value)
{
	const struct rusage usage = {.ru_utime = {.tv_usec = 1500}, .ru_maxrss = 4321};

	assert_int_equal(run_report_end(t.channel, type, value, &usage), 0);
}

/* The template has reaped it, and has no more to say. */
static void report_death(int wait_status)
{
	report(RUN_DIED, wait_status);
	fd_close(&t.channel);
}

static void stack(int cause, const char *text)
{
	FD_OWNED int file = fd_memory_file("stack");

	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	assert_int_equal(run_report_send(t.channel, RUN_STACK, cause, "", file), 0);
}

/* The signal that it died of; -1: it lives. */
static int signal_of(void)
{
	siginfo_t info = {0};

	if (waitid(P_PIDFD, (id_t)t.run.process.handle, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return -1;
	return info.si_status;
}

/* It is dead by this signal, or will be at once. */
static void assert_died_of(int number)
{
	siginfo_t info = {0};

	assert_int_equal(waitid(P_PIDFD, (id_t)t.run.process.handle, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_status, number);
}

static void assert_failed(enum outcome_why why, int status, const char *reason)
{
	assert_false(t.x.outcome.whole);
	assert_string_equal(outcome_name(t.x.outcome.why), outcome_name(why));
	assert_int_equal(t.x.outcome.status, status);
	if (strstr(t.x.outcome.reason, reason) == NULL)
		fail_msg("%s", t.x.outcome.reason);
}

static bool has_logged(const char *text)
{
	char *all = unit_read(t.log.fd);
	bool found = strstr(all, text) != NULL;

	free(all);
	return found;
}

static void a_run_that_ends_well_is_whole_and_its_use_is_known(void **state)
{
	(void)state;
	print(PAGE);
	report(RUN_ENDED, 0);
	guard();
	assert_true(t.x.outcome.whole);
	assert_false(t.x.outcome.answered);
	assert_int_equal(t.x.reply.body.size, 6);
	assert_int_equal(t.x.outcome.cpu, 1500);
	assert_int_equal(t.x.outcome.peak, 4321);
	assert_int_equal(t.request.response.deadline, 0);
	assert_in_range(t.x.outcome.time, 1, 3600 * CLOCK_SECOND);
}

static void what_is_in_the_pipes_at_its_end_is_taken_to_the_last_byte(void **state)
{
	char line[1025];

	(void)state;
	memset(line, 'x', sizeof(line) - 2);
	line[sizeof(line) - 2] = '\n';
	line[sizeof(line) - 1] = '\0';
	print("Content-Type: text/plain\n\n");
	for (int i = 0; i < 48; i++)
		print(line);
	for (int i = 0; i < 20; i++)
		assert_int_equal(write(t.errors, line, strlen(line)), strlen(line));
	assert_int_equal(write(t.errors, "the end\n", 8), 8);
	t.run.listen_at = clock_now() + 3600 * CLOCK_SECOND;
	report(RUN_ENDED, 0);
	guard();
	assert_true(t.x.outcome.whole);
	assert_int_equal(t.x.reply.body.size, 48 * 1024);
	assert_true(has_logged("the end"));
	assert_memory_equal(t.x.outcome.errors.data + t.x.outcome.errors.size - 8, "the end\n", 8);
}

static void an_exit_status_is_a_failure(void **state)
{
	(void)state;
	print(PAGE);
	report(RUN_ENDED, 3);
	guard();
	assert_failed(OUTCOME_EXITED, 500, "exit status 3");
}

static void want_of_memory_is_why_if_it_fails_and_nothing_if_it_does_not(void **state)
{
	(void)state;
	report(RUN_NO_MEMORY, 0);
	report(RUN_ENDED, 0);
	guard();
	assert_true(t.x.outcome.whole);
	end(NULL);
	begin(NULL);
	report(RUN_NO_MEMORY, 0);
	report(RUN_ENDED, 1);
	guard();
	assert_failed(OUTCOME_MEMORY, 500, "exit status 1 for want of memory, --memory is 1000");
	end(NULL);
	begin(NULL);
	report(RUN_NO_MEMORY, 0);
	report_death(SIGSEGV);
	guard();
	assert_failed(OUTCOME_MEMORY, 500, "ended for want of memory");
}

static void a_death_by_a_signal_is_named(void **state)
{
	(void)state;
	report_death(SIGSEGV);
	guard();
	assert_failed(OUTCOME_SIGNALLED, 500, "ended by signal 11 (Segmentation fault)");
}

static void a_death_by_an_exit_status_is_that(void **state)
{
	(void)state;
	report_death(4 << 8);
	guard();
	assert_failed(OUTCOME_EXITED, 500, "exit status 4");
}

static void the_first_of_all_reasons_counts(void **state)
{
	(void)state;
	outcome_fail(&t.x.outcome, OUTCOME_CLIENT, 499, "%s", "first");
	outcome_fail(&t.x.outcome, OUTCOME_TIMEOUT, 504, "%s", "second");
	assert_string_equal(t.x.outcome.reason, "first");
	report_death(SIGKILL);
	guard();
	assert_failed(OUTCOME_CLIENT, 499, "first");
}

static void a_channel_that_ends_without_a_word_is_the_hosts_fault(void **state)
{
	(void)state;
	fd_close(&t.channel);
	guard();
	assert_failed(OUTCOME_HOST, 500, "the template went away");
	assert_int_equal(t.run.state, RUN_STATE_DEAD);
}

/* The kernel says so by a reset: what was sent there is unread. */
static void an_order_that_nobody_has_read_is_for_another_process(void **state)
{
	(void)state;
	assert_int_equal(send(t.run.process.channel, "order", 5, 0), 5);
	fd_close(&t.channel);
	guard();
	assert_int_equal(t.run.state, RUN_STATE_UNREAD);
	assert_true(t.x.outcome.whole);
}

static void a_run_that_has_failed_is_not_done_again_though_nobody_has_read_its_order(void **state)
{
	(void)state;
	outcome_fail(&t.x.outcome, OUTCOME_CLIENT, 499, "%s", "the client went away");
	assert_int_equal(send(t.run.process.channel, "order", 5, 0), 5);
	fd_close(&t.channel);
	guard();
	assert_int_equal(t.run.state, RUN_STATE_DEAD);
	assert_failed(OUTCOME_CLIENT, 499, "the client went away");
}

/* Until then the script may well end, and one look takes all. */
static void its_output_is_left_in_the_pipe_until_its_time(void **state)
{
	(void)state;
	print(PAGE);
	t.run.listen_at = clock_now() + 1800 * CLOCK_SECOND;
	report(RUN_ENDED, 0);
	guard();
	assert_int_equal(t.events[OUTPUT].fd, -1);
	assert_in_range(t.timeout, 1700 * 1000, 1801 * 1000);
	assert_true(t.x.outcome.whole);
	assert_int_equal(t.x.reply.body.size, 6);
}

static void end_when_there_is_a_header(int look)
{
	(void)look;
	if (t.x.reply.has_header)
		report(RUN_ENDED, 0);
}

static void its_output_is_read_from_its_time_on(void **state)
{
	(void)state;
	print(PAGE);
	t.run.listen_at = 1;
	t.at_look = end_when_there_is_a_header;
	guard();
	assert_int_equal(t.run.listen_at, 0);
	assert_int_equal(t.events[OUTPUT].fd, t.run.process.output);
	assert_true(t.x.outcome.whole);
}

static void be_late(int look)
{
	/* The stages in which it is ended follow one another at once. */
	t.run.end.due = 1;
	if (look == 2)
		stack(0, "line 7, in slow\n");
}

static void one_that_takes_too_long_is_asked_where_it_is_and_ended(void **state)
{
	(void)state;
	t.at_look = be_late;
	t.at_once = true;
	guard();
	assert_failed(OUTCOME_TIMEOUT, 504, "longer than 30 s");
	assert_true(has_logged("line 7, in slow"));
	assert_int_equal(t.run.end.kills, 2);
	assert_died_of(SIGTERM);
}

static void be_late_and_say_nothing(int look)
{
	(void)look;
	t.run.end.due = 1;
}

static void one_that_does_not_say_where_it_is_is_ended_too(void **state)
{
	(void)state;
	t.at_look = be_late_and_say_nothing;
	t.at_once = true;
	guard();
	assert_failed(OUTCOME_TIMEOUT, 504, "longer than 30 s");
	assert_true(has_logged("did not say where it is"));
	assert_died_of(SIGTERM);
}

static void more_processor_time_than_allowed_is_told_as_that(void **state)
{
	(void)state;
	stack(SIGXCPU, "line 1\n");
	report_death(SIGTERM);
	guard();
	assert_failed(OUTCOME_CPU, 504, "more than 7 s of processor time");
	assert_died_of(SIGTERM);
}

static void die_when_told(int look)
{
	if (look > 1 && t.run.end.stage >= ESCALATION_TERMED) {
		assert_died_of(SIGTERM);
		report_death(SIGTERM);
		t.at_look = NULL;
	}
}

static void a_client_that_goes_away_ends_the_run(void **state)
{
	(void)state;
	fd_close(&t.client);
	t.at_look = die_when_told;
	guard();
	assert_failed(OUTCOME_CLIENT, 499, "the client went away");
}

static void send_abort(uint16_t id)
{
	unsigned char record[WIRE_HEADER];

	wire_record_write(record, WIRE_ABORT_REQUEST, id, 0);
	assert_int_equal(send(t.client, record, sizeof(record), 0), sizeof(record));
}

static void a_client_that_aborts_the_request_ends_the_run(void **state)
{
	(void)state;
	send_abort(1);
	t.at_look = die_when_told;
	guard();
	assert_failed(OUTCOME_ABORTED, 499, "the client aborted the request");
}

static void end_at_the_sixth_look(int look)
{
	if (look == 6)
		report(t.run.app ? RUN_ANSWERED : RUN_ENDED, 0);
	else if (look < 6)
		/* A sign that the guard does not know of. */
		assert_int_equal(run_report_send(t.channel, 99, 0, "", -1), 0);
}

/*
 * Once looked at they are of no interest: a guard that asked for them again would turn round them.
 */
static void other_bytes_of_the_client_are_for_later(void **state)
{
	(void)state;
	send_abort(2);
	t.at_look = end_at_the_sixth_look;
	guard();
	assert_true(t.x.outcome.whole);
	assert_int_equal(t.looks, 6);
	assert_int_equal(t.events[CLIENT].fd, t.request.response.fd);
	assert_int_equal(t.events[CLIENT].events, 0);
}

static void a_client_that_will_send_no_more_may_still_read(void **state)
{
	(void)state;
	assert_int_equal(shutdown(t.client, SHUT_WR), 0);
	t.at_look = end_at_the_sixth_look;
	guard();
	assert_true(t.x.outcome.whole);
	assert_int_equal(t.looks, 6);
}

static void make_it_due(int look)
{
	if (look == 3) {
		assert_true(t.run.answer_at > clock_now());
		assert_in_range(t.timeout, 1, 501);
		t.run.answer_at = 1;
	} else if (look == 4) {
		assert_true(t.x.outcome.answered);
		report(RUN_ENDED, 0);
	}
}

/* And is not looked at any more, or the thread would turn round and round at what is closed. */
static void its_client_is_gone_with_the_whole_reply(int look)
{
	if (look == 1)
		print("X-Accel-Buffering: no\nContent-Length: 6\n\nhello\n");
	if (look == 2)
		fd_close(&t.client);
	if (look == 3) {
		assert_int_equal(t.events[CLIENT].fd, -1);
		report(RUN_ENDED, 0);
		report_death(0);
	}
}

static void a_client_that_goes_with_its_whole_reply_ends_nothing(void **state)
{
	(void)state;
	t.at_look = its_client_is_gone_with_the_whole_reply;
	guard();
	assert_true(t.looks >= 3);
	assert_true(t.x.outcome.whole);
}

static void an_output_that_is_closed_is_a_reply_half_a_second_later(void **state)
{
	char bytes[256];
	ssize_t n;

	(void)state;
	print(PAGE);
	fd_close(&t.output);
	t.at_look = make_it_due;
	/* The first look reads what there is, the next finds the end. */
	guard_run(&t.run);
	guard_finish(&t.run);
	assert_true(t.x.outcome.answered);
	assert_true(t.x.outcome.whole);
	n = recv(t.client, bytes, sizeof(bytes), 0);
	assert_true(n > 0);
	/* No other request can come there while it goes on. */
	assert_int_equal(recv(t.client, bytes, sizeof(bytes), 0), 0);
}

static void die_without_a_word(int look)
{
	if (look == 3) {
		assert_int_equal(kill(t.run.process.pid, SIGKILL), 0);
		assert_died_of(SIGKILL);
		t.run.answer_at = 1;
	} else if (look == 4) {
		assert_false(t.x.outcome.answered);
		report_death(SIGKILL);
	}
}

static void an_output_that_was_closed_by_a_death_is_no_reply(void **state)
{
	(void)state;
	print(PAGE);
	fd_close(&t.output);
	t.at_look = die_without_a_word;
	guard();
	assert_false(t.x.outcome.answered);
	assert_failed(OUTCOME_SIGNALLED, 500, "signal 9");
}

static void a_closed_output_that_is_no_reply_fails(void **state)
{
	(void)state;
	print("no header\n\nhello\n");
	fd_close(&t.output);
	t.at_look = die_when_told;
	guard();
	assert_failed(OUTCOME_REPLY, 500, "");
	assert_false(t.x.outcome.answered);
}

static void an_exit_status_after_the_answer_is_a_failure_all_the_same(void **state)
{
	(void)state;
	print(PAGE);
	fd_close(&t.output);
	t.x.outcome.answered = true;
	report(RUN_ENDED, 3);
	guard();
	assert_failed(OUTCOME_EXITED, 500, "exit status 3");
}

static void what_a_run_prints_that_has_failed_is_for_nobody(void **state)
{
	(void)state;
	outcome_fail(&t.x.outcome, OUTCOME_CLIENT, 499, "%s", "gone");
	print(PAGE);
	report(RUN_ENDED, 0);
	guard();
	assert_false(t.x.reply.has_header);
	assert_int_equal(t.x.reply.block.size, 0);
}

static void refuse_the_reply(int look)
{
	if (look == 1)
		print("no header\n\n");
	else
		die_when_told(look);
}

static void a_reply_that_is_refused_ends_the_run(void **state)
{
	(void)state;
	t.at_look = refuse_the_reply;
	guard();
	assert_failed(OUTCOME_REPLY, 500, "");
}

static void a_client_that_takes_nothing_until_the_deadline_is_late(void **state)
{
	(void)state;
	t.request.response.failed = true;
	t.request.response.deadline = 1;
	t.at_look = die_when_told;
	assert_int_equal(write(t.errors, "x\n", 2), 2);
	guard();
	assert_failed(OUTCOME_TIMEOUT, 504, "the client takes no more");
}

static void a_client_that_failed_before_the_deadline_is_gone(void **state)
{
	(void)state;
	t.request.response.failed = true;
	t.at_look = die_when_told;
	assert_int_equal(write(t.errors, "x\n", 2), 2);
	guard();
	assert_failed(OUTCOME_CLIENT, 499, "the client went away");
}

/*
 * Apps.
 */

static int begin_app(void **state)
{
	begin(state);
	t.run.app = true;
	return 0;
}

static void an_app_worker_goes_on_after_its_answer(void **state)
{
	(void)state;
	print(PAGE);
	report(RUN_ANSWERED, 0);
	guard();
	assert_true(t.x.outcome.whole);
	assert_int_equal(t.run.state, RUN_STATE_ALIVE);
	assert_int_equal(signal_of(), -1);
}

static void an_app_that_fails_goes_on_too(void **state)
{
	(void)state;
	report(RUN_ANSWERED, 1);
	guard();
	assert_failed(OUTCOME_EXITED, 500, "the app failed");
	assert_int_equal(t.run.state, RUN_STATE_ALIVE);
	end(NULL);
	begin_app(NULL);
	report(RUN_NO_MEMORY, 0);
	report(RUN_ANSWERED, 3);
	guard();
	assert_failed(OUTCOME_MEMORY, 500, "no memory left, --memory is 1000");
	assert_int_equal(t.run.state, RUN_STATE_RETIRES);
}

static void an_answer_after_sigterm_is_the_workers_last(void **state)
{
	(void)state;
	escalation_begin(&t.run.end);
	report(RUN_ANSWERED, 0);
	guard();
	assert_int_equal(t.run.state, RUN_STATE_OVER);
}

static void an_answer_after_it_was_asked_is_not(void **state)
{
	(void)state;
	t.run.end.stage = ESCALATION_ASKED;
	report(RUN_ANSWERED, 0);
	guard();
	assert_int_equal(t.run.state, RUN_STATE_ALIVE);
}

static void an_app_that_has_changed_has_not_begun_the_request(void **state)
{
	(void)state;
	assert_int_equal(run_report_send(t.channel, RUN_STALE, 0, "", -1), 0);
	guard();
	assert_int_equal(t.run.state, RUN_STATE_STALE);
	assert_true(t.x.outcome.whole);
}

static void die_after_the_end(int look)
{
	if (look == 1) {
		report(RUN_ENDED, 0);
	} else if (look == 2) {
		assert_int_equal(t.run.state, RUN_STATE_GOING);
		report_death(0);
	}
}

static void the_end_of_an_app_worker_is_known_when_it_is_dead(void **state)
{
	(void)state;
	t.at_look = die_after_the_end;
	guard();
	assert_int_equal(t.run.state, RUN_STATE_DEAD);
}

static void *close_the_channel(void *look)
{
	poll(NULL, 0, 50);
	fd_close(look);
	return NULL;
}

static void an_app_worker_that_died_before_it_saw_its_order_has_not_begun_it(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(send(t.run.process.channel, "order", 5, 0), 5);
	report(RUN_DIED, SIGKILL);
	/* The template closes its end after it has told, perhaps a moment later. */
	assert_int_equal(pthread_create(&thread, NULL, close_the_channel, &t.channel), 0);
	guard();
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(t.run.state, RUN_STATE_UNREAD);
	assert_true(t.x.outcome.whole);
}

static void an_app_worker_that_died_at_its_request_has_failed(void **state)
{
	(void)state;
	report_death(SIGSEGV);
	guard();
	assert_int_equal(t.run.state, RUN_STATE_DEAD);
	assert_failed(OUTCOME_SIGNALLED, 500, "signal 11");
}

static void answer_when_let_go(int look)
{
	if (look == 1)
		return;
	assert_int_equal(signal_of(), -1);
	assert_int_equal(t.run.process.output, -1);
	assert_in_range(t.run.end.due, clock_now(), clock_now() + 5 * CLOCK_SECOND);
	report(RUN_ANSWERED, 1);
	t.at_look = NULL;
}

static void an_app_whose_client_is_gone_has_five_seconds_to_find_out(void **state)
{
	(void)state;
	fd_close(&t.client);
	t.at_look = answer_when_let_go;
	guard();
	assert_failed(OUTCOME_CLIENT, 499, "the client went away");
	assert_int_equal(t.run.state, RUN_STATE_ALIVE);
	assert_int_equal(signal_of(), -1);
}

static void the_deadline_of_an_app_stays_if_it_is_sooner_and_nothing_was_wrong_with_it(void **state)
{
	uint64_t due = clock_now() + 2 * CLOCK_SECOND;

	(void)state;
	t.run.end.due = due;
	fd_close(&t.run.process.output);
	fd_close(&t.client);
	report(RUN_NO_MEMORY, 0);
	outcome_fail(&t.x.outcome, OUTCOME_CLIENT, 499, "%s", "gone");
	t.at_look = end_at_the_sixth_look;
	guard_run(&t.run);
	assert_int_equal(t.run.end.due, due);
}

static void the_stack_of_an_app_that_goes_on_is_not_logged(void **state)
{
	(void)state;
	stack(0, "asked for before\n");
	report(RUN_ANSWERED, 0);
	guard();
	assert_false(has_logged("asked for before"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_APP(name) cmocka_unit_test_setup_teardown(name, begin_app, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_run_that_ends_well_is_whole_and_its_use_is_known),
	    TEST(what_is_in_the_pipes_at_its_end_is_taken_to_the_last_byte),
	    TEST(an_exit_status_is_a_failure),
	    TEST(want_of_memory_is_why_if_it_fails_and_nothing_if_it_does_not),
	    TEST(a_death_by_a_signal_is_named),
	    TEST(a_death_by_an_exit_status_is_that),
	    TEST(the_first_of_all_reasons_counts),
	    TEST(a_channel_that_ends_without_a_word_is_the_hosts_fault),
	    TEST(an_order_that_nobody_has_read_is_for_another_process),
	    TEST(a_run_that_has_failed_is_not_done_again_though_nobody_has_read_its_order),
	    TEST(its_output_is_left_in_the_pipe_until_its_time),
	    TEST(its_output_is_read_from_its_time_on),
	    TEST(one_that_takes_too_long_is_asked_where_it_is_and_ended),
	    TEST(one_that_does_not_say_where_it_is_is_ended_too),
	    TEST(more_processor_time_than_allowed_is_told_as_that),
	    TEST(a_client_that_goes_away_ends_the_run),
	    TEST(a_client_that_aborts_the_request_ends_the_run),
	    TEST(other_bytes_of_the_client_are_for_later),
	    TEST(a_client_that_will_send_no_more_may_still_read),
	    TEST(a_client_that_goes_with_its_whole_reply_ends_nothing),
	    TEST(an_output_that_is_closed_is_a_reply_half_a_second_later),
	    TEST(an_output_that_was_closed_by_a_death_is_no_reply),
	    TEST(a_closed_output_that_is_no_reply_fails),
	    TEST(an_exit_status_after_the_answer_is_a_failure_all_the_same),
	    TEST(what_a_run_prints_that_has_failed_is_for_nobody),
	    TEST(a_reply_that_is_refused_ends_the_run),
	    TEST(a_client_that_takes_nothing_until_the_deadline_is_late),
	    TEST(a_client_that_failed_before_the_deadline_is_gone),
	    TEST_APP(an_app_worker_goes_on_after_its_answer),
	    TEST_APP(an_app_that_fails_goes_on_too),
	    TEST_APP(an_answer_after_sigterm_is_the_workers_last),
	    TEST_APP(an_answer_after_it_was_asked_is_not),
	    TEST_APP(an_app_that_has_changed_has_not_begun_the_request),
	    TEST_APP(the_end_of_an_app_worker_is_known_when_it_is_dead),
	    TEST_APP(an_app_worker_that_died_before_it_saw_its_order_has_not_begun_it),
	    TEST_APP(an_app_worker_that_died_at_its_request_has_failed),
	    TEST_APP(an_app_whose_client_is_gone_has_five_seconds_to_find_out),
	    TEST_APP(the_deadline_of_an_app_stays_if_it_is_sooner_and_nothing_was_wrong_with_it),
	    TEST_APP(the_stack_of_an_app_that_goes_on_is_not_logged),
	};

	/* The processes, too, shall live on when they are asked where they are. */
	signal(RUN_STACK_SIGNAL, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
