/* What a template answers to orders and pings. Its language is a pretence that may not fork. */
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "binding.h"
#include "ipc/process_handle.h"
#include "ipc/template_channel.h"
#include "template/template.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 10000 /* milliseconds */

static bool forks; /* whether fork(2) succeeds in the template */

static int start_nothing(struct error *e)
{
	(void)e;
	return 0;
}

static pid_t fork_or_fail(pid_t (*make)(void))
{
	if (forks)
		return make();
	errno = EAGAIN;
	return -1;
}

static const struct binding pretence = {
    .name = "pretence", .start = start_nothing, .fork = fork_or_fail};
static struct log log_file;
static struct template_handle t;

static pid_t fork_here(void *context)
{
	pid_t pid = fork();

	(void)context;
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void receive(int socket, void *message, size_t size, int fds[FD_PASS_MAX])
{
	struct pollfd event = {.fd = socket, .events = POLLIN};

	assert_int_equal(poll(&event, 1, PATIENCE), 1);
	assert_int_equal(fd_receive(socket, message, size, fds, 0), size);
}

static void hear(enum template_event event)
{
	struct template_status message;
	int fds[FD_PASS_MAX];

	receive(t.status, &message, sizeof(message), fds);
	assert_int_equal(message.event, event);
}

static void start(bool with_forks)
{
	const struct template_setup setup = {.binding = &pretence, .log = &log_file};

	forks = with_forks;
	log_file = (struct log){.fd = fd_memory_file("unit")};
	assert_int_equal(template_start(&setup, fork_here, NULL, &t), 0);
	hear(TEMPLATE_READY);
}

static void end(void)
{
	int status;

	fd_close(&t.channel);
	fd_close(&t.status);
	assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	fd_close(&log_file.fd);
}

/* Order a process; the answer of the template, and the process's pidfd or -1. */
static pid_t order(int *handle)
{
	const struct template_order message = {0};
	struct template_answer answer;
	struct process_handle p;
	struct process_ends ends;
	struct error e;
	int fds[FD_PASS_MAX];

	assert_int_equal(process_handle_open(&p, &ends, &e), 0);
	assert_int_equal(fd_send(t.channel, &message, sizeof(message),
			     (const int[]){ends.channel, ends.output, ends.errors}, PROCESS_ENDS),
	    0);
	process_ends_close(&ends);
	receive(t.channel, &answer, sizeof(answer), fds);
	*handle = fds[0];
	process_handle_release(&p);
	return answer.pid;
}

static void an_order_is_answered_with_the_process_that_was_forked(void **state)
{
	int handle;

	(void)state;
	start(true);
	assert_true(order(&handle) > 1);
	assert_true(handle >= 0);
	close(handle);
	end();
}

static void a_fork_that_fails_is_answered_too_and_logged(void **state)
{
	int handle;
	char *text;

	(void)state;
	start(false);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(order(&handle), -1);
		assert_int_equal(handle, -1);
	}
	text = unit_read(log_file.fd);
	assert_non_null(strstr(text, "no request process: fork: Resource temporarily unavailable"));
	free(text);
	end();
}

static void each_ping_is_answered_by_a_template_that_is_idle(void **state)
{
	(void)state;
	start(true);
	for (int i = 0; i < 3; i++) {
		template_ping(t.status);
		hear(TEMPLATE_ANSWERS);
	}
	end();
}

/* `exthost request` closes it once the template is ready. */
static void without_a_master_to_answer_it_forks_on(void **state)
{
	int handle;

	(void)state;
	start(true);
	fd_close(&t.status);
	for (int i = 0; i < 3; i++) {
		assert_true(order(&handle) > 1);
		close(handle);
	}
	end();
}

static void without_descriptors_there_is_no_template(void **state)
{
	const struct template_setup setup = {.binding = &pretence, .log = &log_file};
	int first = open("/dev/null", O_RDONLY | O_CLOEXEC), last = first;
	struct rlimit files;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	for (int i = 0; i < 4; i++) {
		/* So many are left: none for either channel, or for one of them. */
		const struct rlimit few = {(rlim_t)(last + i), files.rlim_max};

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		assert_int_equal(template_start(&setup, fork_here, NULL, &t), -1);
		assert_int_equal(errno, EMFILE);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	close(first);
	/* Nothing was left open. */
	first = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(first, last);
	close(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_order_is_answered_with_the_process_that_was_forked),
	    cmocka_unit_test(a_fork_that_fails_is_answered_too_and_logged),
	    cmocka_unit_test(each_ping_is_answered_by_a_template_that_is_idle),
	    cmocka_unit_test(without_a_master_to_answer_it_forks_on),
	    cmocka_unit_test(without_descriptors_there_is_no_template),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
