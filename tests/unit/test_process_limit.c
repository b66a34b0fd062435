/*
 * A run that may start so many processes: the test's child is the run, the test the front. What the
 * child does it does without an assertion, and tells it in one struct.
 */
#include "unit.h"

#include "base/fd.h"
#include "ipc/process_limit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES 5

struct told {
	int errors[TRIES];    /* of each fork, 0: it was made */
	int grandchild_error; /* of a fork in the first child */
	int thread_error;
};

static void *do_nothing(void *argument)
{
	return argument;
}

/* One fork, whose child forks too if told so. The error of each. */
static int try_fork(int *grandchild_error)
{
	int pipe_ends[2], error = 0;
	pid_t pid;

	if (pipe(pipe_ends) < 0)
		return errno;
	pid = fork();
	if (pid == 0) {
		if (grandchild_error != NULL)
			error = try_fork(NULL);
		if (write(pipe_ends[1], &error, sizeof(error)) < 0)
			_exit(1);
		_exit(0);
	}
	error = pid < 0 ? errno : 0;
	close(pipe_ends[1]);
	if (pid > 0 && grandchild_error != NULL &&
	    read(pipe_ends[0], grandchild_error, sizeof(int)) < 0)
		error = errno;
	close(pipe_ends[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return error;
}

static void be_the_run(int channel)
{
	struct told told;
	int notices = process_limit_install();
	int why = notices < 0 ? errno : 0;
	pthread_t thread;

	memset(&told, 0, sizeof(told));
	fd_send(channel, &why, sizeof(why), &notices, notices >= 0 ? 1 : 0);
	fd_close(&notices);
	if (why != 0)
		_exit(0);
	told.thread_error = pthread_create(&thread, NULL, do_nothing, NULL);
	if (told.thread_error == 0)
		pthread_join(thread, NULL);
	for (int i = 0; i < TRIES; i++)
		told.errors[i] = try_fork(i == 0 ? &told.grandchild_error : NULL);
	fd_send(channel, &told, sizeof(told), NULL, 0);
	_exit(0);
}

/* Answer until the run has told; how many were refused. */
static int be_the_front(int channel, int notices, uint64_t *left, struct told *told)
{
	struct pollfd events[2] = {
	    {.fd = channel, .events = POLLIN}, {.fd = notices, .events = POLLIN}};
	int fds[FD_PASS_MAX];
	int refused = 0;

	for (;;) {
		assert_true(poll(events, 2, 10000) > 0);
		if ((events[1].revents & POLLIN) != 0) {
			int result = process_limit_answer(notices, left);

			assert_true(result >= 0);
			refused += result;
		} else if (events[0].revents != 0) {
			assert_int_equal(
			    fd_receive(channel, told, sizeof(*told), fds, 0), sizeof(*told));
			return refused;
		} else {
			events[1].fd = -1;
		}
	}
}

/* A run with this limit. How many forks were refused, as the front counts. */
static int run_with(uint64_t limit, uint64_t *left, struct told *told)
{
	int ends[2], why, refused, fds[FD_PASS_MAX];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		be_the_run(ends[1]);
	}
	close(ends[1]);
	assert_int_equal(fd_receive(ends[0], &why, sizeof(why), fds, 0), sizeof(why));
	if (why != 0) {
		waitpid(pid, NULL, 0);
		close(ends[0]);
		print_message("seccomp_unotify(2) cannot be used here: %s\n", strerror(why));
		skip();
	}
	*left = limit;
	refused = be_the_front(ends[0], fds[0], left, told);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fds[0]);
	close(ends[0]);
	return refused;
}

static void so_many_forks_are_made_and_the_next_fails_with_eagain(void **state)
{
	struct told told;
	uint64_t left;

	(void)state;
	/* Three: a child, the child's child, and another child. */
	assert_int_equal(run_with(3, &left, &told), TRIES - 2);
	assert_int_equal(left, 0);
	assert_int_equal(told.errors[0], 0);
	assert_int_equal(told.grandchild_error, 0);
	assert_int_equal(told.errors[1], 0);
	for (int i = 2; i < TRIES; i++)
		assert_int_equal(told.errors[i], EAGAIN);
}

static void what_a_child_starts_counts_as_well(void **state)
{
	struct told told;
	uint64_t left;

	(void)state;
	assert_int_equal(run_with(1, &left, &told), TRIES);
	assert_int_equal(told.errors[0], 0);
	assert_int_equal(told.grandchild_error, EAGAIN);
	assert_int_equal(told.errors[1], EAGAIN);
}

static void threads_do_not_count(void **state)
{
	struct told told;
	uint64_t left;

	(void)state;
	assert_int_equal(run_with(0, &left, &told), TRIES);
	assert_int_equal(told.thread_error, 0);
	assert_int_equal(told.errors[0], EAGAIN);
}

static void what_is_not_used_up_is_left(void **state)
{
	struct told told;
	uint64_t left;

	(void)state;
	assert_int_equal(run_with(10, &left, &told), 0);
	assert_int_equal(left, 10 - TRIES - 1);
	assert_int_equal(told.errors[TRIES - 1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(so_many_forks_are_made_and_the_next_fails_with_eagain),
	    cmocka_unit_test(what_a_child_starts_counts_as_well),
	    cmocka_unit_test(threads_do_not_count),
	    cmocka_unit_test(what_is_not_used_up_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
