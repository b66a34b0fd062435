/* When a child is started again after it died, whatever it is. The clock can be set on. */
#include "base/clock.h"
#include "unit.h"

#include "base/fd.h"
#include "base/log.h"
#include "master/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_offset; /* nanoseconds */

/* In the place of the C library's: it goes on when a test says so. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	uint64_t time = 1000 * CLOCK_SECOND + clock_offset;

	(void)clock;
	*now = (struct timespec){
	    .tv_sec = (time_t)(time / CLOCK_SECOND), .tv_nsec = (long)(time % CLOCK_SECOND)};
	return 0;
}

static const struct child_rules silent = {
    .pause = 3 * CLOCK_SECOND, .first = 4 * CLOCK_SECOND, .most = 20 * CLOCK_SECOND};
static const struct child_rules speaking = {
    .first = 4 * CLOCK_SECOND, .most = 20 * CLOCK_SECOND, .ready_within = 60 * CLOCK_SECOND};
static struct log log_file;
static struct child c;

static int begin(void **state)
{
	(void)state;
	clock_offset = 0;
	log_file = (struct log){.fd = fd_memory_file("unit")};
	child_init(&c, "thing", &log_file, &silent);
	return 0;
}

static int begin_speaking(void **state)
{
	begin(state);
	child_set_rules(&c, &speaking);
	return 0;
}

static int end(void **state)
{
	(void)state;
	child_end(&c);
	fd_close(&log_file.fd);
	return 0;
}

static pid_t start(void)
{
	pid_t pid = child_fork(&c);

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void reap(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* It is killed after so long a life; the nanoseconds until the next start. */
static uint64_t die_after(uint64_t age)
{
	pid_t pid = c.pid;

	clock_offset += age;
	assert_int_equal(child_signal(&c, SIGKILL), 0);
	reap(pid);
	assert_true(child_died(&c, pid));
	child_start_again(&c);
	assert_true(child_next_event(&c) != 0);
	return child_next_event(&c) - clock_now();
}

static void nothing_is_due_before_it_is_wanted(void **state)
{
	(void)state;
	assert_false(child_is_due(&c));
	assert_int_equal(child_next_event(&c), 0);
}

static void it_is_due_when_its_time_has_come_and_not_before(void **state)
{
	(void)state;
	child_want(&c, CLOCK_SECOND);
	assert_false(child_is_due(&c));
	assert_int_equal(child_next_event(&c), clock_now() + CLOCK_SECOND);
	clock_offset += CLOCK_SECOND;
	assert_true(child_is_due(&c));
	start();
	assert_false(child_is_due(&c));
	assert_int_equal(child_next_event(&c), 0);
}

static void of_two_wishes_the_earlier_one_counts(void **state)
{
	(void)state;
	child_want(&c, 2 * CLOCK_SECOND);
	child_want(&c, CLOCK_SECOND);
	child_want(&c, 3 * CLOCK_SECOND);
	assert_int_equal(child_next_event(&c), clock_now() + CLOCK_SECOND);
}

static void what_is_wanted_beside_a_process_waits_for_its_end(void **state)
{
	(void)state;
	start();
	child_want(&c, 0);
	assert_false(child_is_due(&c));
	assert_int_equal(die_after(0), 0);
	assert_true(child_is_due(&c));
}

static void each_that_dies_young_makes_the_wait_longer_up_to_the_most(void **state)
{
	static const unsigned expected[] = {4, 8, 16, 20, 20};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(expected); i++) {
		start();
		assert_int_equal(die_after(CLOCK_SECOND - 1), expected[i] * CLOCK_SECOND);
		clock_offset += expected[i] * CLOCK_SECOND;
	}
}

static void one_that_lived_for_a_second_is_followed_after_the_pause(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start();
		die_after(0);
	}
	start();
	assert_int_equal(die_after(CLOCK_SECOND), 3 * CLOCK_SECOND);
	start();
	assert_int_equal(die_after(0), 4 * CLOCK_SECOND);
}

static void new_rules_make_the_waits_short_again(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		start();
		die_after(0);
	}
	child_set_rules(&c, &silent);
	start();
	assert_int_equal(die_after(0), 4 * CLOCK_SECOND);
}

static void one_that_must_speak_has_not_come_up_before_it_did(void **state)
{
	(void)state;
	start();
	assert_int_equal(die_after(30 * CLOCK_SECOND), 4 * CLOCK_SECOND);
	start();
	assert_int_equal(die_after(30 * CLOCK_SECOND), 8 * CLOCK_SECOND);
	start();
	child_set_ready(&c);
	assert_int_equal(die_after(0), 0);
	start();
	assert_int_equal(die_after(0), 4 * CLOCK_SECOND);
}

static void one_that_is_not_ready_in_time_is_killed(void **state)
{
	pid_t pid = start();

	(void)state;
	assert_int_equal(child_next_event(&c), clock_now() + 60 * CLOCK_SECOND);
	clock_offset += 60 * CLOCK_SECOND - 1;
	child_kill_if_late(&c);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	clock_offset += 1;
	child_kill_if_late(&c);
	reap(pid);
	/* The master hears of it later, and must not turn in circles until then. */
	assert_true(child_next_event(&c) > clock_now());
	assert_true(child_died(&c, pid));
}

static void one_that_is_ready_has_no_deadline(void **state)
{
	pid_t pid = start();

	(void)state;
	child_set_ready(&c);
	clock_offset += 3600 * CLOCK_SECOND;
	child_kill_if_late(&c);
	assert_int_equal(child_next_event(&c), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
}

static void the_death_of_another_process_is_not_its_own(void **state)
{
	pid_t pid = start();

	(void)state;
	assert_false(child_died(&c, pid + 1));
	assert_int_equal(c.pid, pid);
	child_forget(&c);
	assert_false(child_died(&c, 0));
	assert_int_equal(kill(pid, SIGKILL), 0);
	reap(pid);
}

static void a_process_that_was_moved_is_the_others(void **state)
{
	struct child other;
	pid_t pid = start();

	(void)state;
	child_init(&other, "other", &log_file, &silent);
	child_move(&c, &other);
	assert_int_equal(c.pid, 0);
	assert_int_equal(c.handle, -1);
	assert_false(child_died(&c, pid));
	assert_int_equal(other.pid, pid);
	child_end(&other);
	assert_int_equal(other.pid, 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* Its number may be that of another process by now. */
static void a_process_that_was_reaped_gets_no_signal(void **state)
{
	pid_t pid = start();

	(void)state;
	assert_int_equal(kill(pid, SIGKILL), 0);
	reap(pid);
	assert_int_equal(child_signal(&c, SIGTERM), -1);
	assert_int_equal(errno, ESRCH);
}

static void a_start_that_fails_is_logged_and_tried_again_after_the_wait(void **state)
{
	struct rlimit files;
	char *text;

	(void)state;
	child_want(&c, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	/* No descriptor for the pidfd is left. */
	assert_int_equal(
	    setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 0, .rlim_max = files.rlim_max}),
	    0);
	for (int i = 0; i < 2; i++) {
		pid_t pid = child_fork(&c);

		if (pid == 0)
			_exit(0);
		assert_int_equal(pid, -1);
		assert_int_equal(c.pid, 0);
		child_fail(&c, "start");
		assert_false(child_is_due(&c));
		assert_int_equal(child_next_event(&c), clock_now() + 4 * CLOCK_SECOND);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	text = unit_read(log_file.fd);
	assert_non_null(strstr(text, "error thing: start: Too many open files"));
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define SPEAKING(name) cmocka_unit_test_setup_teardown(name, begin_speaking, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing_is_due_before_it_is_wanted),
	    TEST(it_is_due_when_its_time_has_come_and_not_before),
	    TEST(of_two_wishes_the_earlier_one_counts),
	    TEST(what_is_wanted_beside_a_process_waits_for_its_end),
	    TEST(each_that_dies_young_makes_the_wait_longer_up_to_the_most),
	    TEST(one_that_lived_for_a_second_is_followed_after_the_pause),
	    TEST(new_rules_make_the_waits_short_again),
	    SPEAKING(one_that_must_speak_has_not_come_up_before_it_did),
	    SPEAKING(one_that_is_not_ready_in_time_is_killed),
	    SPEAKING(one_that_is_ready_has_no_deadline),
	    TEST(the_death_of_another_process_is_not_its_own),
	    TEST(a_process_that_was_moved_is_the_others),
	    TEST(a_process_that_was_reaped_gets_no_signal),
	    TEST(a_start_that_fails_is_logged_and_tried_again_after_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
