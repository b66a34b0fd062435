/* When a front is started again after a death. Time is set; no front is started here. */
#include "base/clock.h"
#include "unit.h"

#include "base/fd.h"
#include "base/log.h"
#include "master/front_keeper.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct log log_file;

static int open_log(void **state)
{
	(void)state;
	log_file = (struct log){.fd = fd_memory_file("unit")};
	return log_file.fd >= 0 ? 0 : -1;
}

static int close_log(void **state)
{
	(void)state;
	fd_close(&log_file.fd);
	return 0;
}

/*
 * A front of this age dies. Returns the nanoseconds until the next front is due; *slack is their
 * greatest error.
 */
static uint64_t die(struct front_keeper *k, uint64_t age, uint64_t *slack)
{
	uint64_t before = clock_now(), after;

	k->child.pid = 12345;
	k->child.due = 0;
	k->child.started = before - age;
	assert_true(front_keeper_child_died(k, 12345, "exit status 1"));
	after = clock_now();
	assert_int_equal(k->child.pid, 0);
	assert_int_equal(k->channel, -1);
	*slack = after - before;
	return k->child.due - before;
}

static void one_that_has_lived_is_replaced_at_once(void **state)
{
	struct front_keeper k;
	uint64_t slack, wait;

	(void)state;
	front_keeper_init(&k, &log_file, 0);
	for (int i = 0; i < 3; i++) {
		wait = die(&k, 60 * CLOCK_SECOND, &slack);
		assert_in_range(wait, 0, slack);
	}
}

static void each_that_dies_within_a_second_makes_the_wait_longer_up_to_five_seconds(void **state)
{
	static const unsigned expected[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
	struct front_keeper k;
	uint64_t slack, wait;

	(void)state;
	front_keeper_init(&k, &log_file, 0);
	for (size_t i = 0; i < UNIT_COUNT(expected); i++) {
		wait = die(&k, 10 * CLOCK_MILLISECOND, &slack);
		assert_in_range(
		    wait, expected[i] * CLOCK_MILLISECOND, expected[i] * CLOCK_MILLISECOND + slack);
	}
}

static void one_that_lived_makes_the_waits_short_again(void **state)
{
	struct front_keeper k;
	uint64_t slack, wait;

	(void)state;
	front_keeper_init(&k, &log_file, 0);
	for (int i = 0; i < 4; i++)
		die(&k, 0, &slack);
	die(&k, 2 * CLOCK_SECOND, &slack);
	wait = die(&k, 0, &slack);
	assert_in_range(wait, 100 * CLOCK_MILLISECOND, 100 * CLOCK_MILLISECOND + slack);
}

static void the_death_of_another_child_is_not_the_fronts(void **state)
{
	struct front_keeper k;

	(void)state;
	front_keeper_init(&k, &log_file, 0);
	k.child.pid = 12345;
	assert_false(front_keeper_child_died(&k, 12346, "exit status 0"));
	assert_int_equal(k.child.pid, 12345);
}

static void before_its_time_none_is_started(void **state)
{
	struct front_keeper k;

	(void)state;
	front_keeper_init(&k, &log_file, 0);
	k.child.due = clock_now() + 60 * CLOCK_SECOND;
	assert_int_equal(front_keeper_work(&k, NULL, NULL, NULL), k.child.due);
	assert_int_equal(k.child.pid, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)

static void do_nothing(void *argument)
{
	(void)argument;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

/* A front that runs; the other end of its channel. */
static int run(struct front_keeper *k)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	front_keeper_init(k, &log_file, 0);
	pid = child_fork(&k->child);
	assert_true(pid >= 0);
	if (pid == 0)
		do_nothing(NULL);
	k->channel = ends[0];
	heartbeat_begin(&k->heartbeat, k->ping_every, k->patience);
	return ends[1];
}

/* The time of the next look has come. */
static void look(struct front_keeper *k)
{
	uint64_t next;

	assert_int_not_equal(k->heartbeat.due, 0);
	k->heartbeat.due = 1;
	next = front_keeper_work(k, NULL, NULL, NULL);
	assert_int_equal(next, k->heartbeat.due);
}

static bool takes_ping(int front)
{
	struct front_message message;

	return recv(front, &message, sizeof(message), MSG_DONTWAIT) == sizeof(message) &&
	       message.order == FRONT_PING;
}

static void a_front_that_answers_is_pinged_again_and_lives(void **state)
{
	struct front_keeper k;
	int front = run(&k);

	(void)state;
	for (int i = 0; i < 20; i++) {
		look(&k);
		assert_true(takes_ping(front));
		look(&k);
		assert_false(takes_ping(front));
		front_keeper_take_answer(&k);
	}
	assert_int_equal(waitpid(k.child.pid, NULL, WNOHANG), 0);
	front_keeper_release(&k);
	close(front);
}

static void a_front_that_hangs_is_killed_and_another_is_started(void **state)
{
	struct front_keeper k;
	int front = run(&k), looks, status;
	pid_t pid = k.child.pid;

	(void)state;
	look(&k);
	front_keeper_take_answer(&k);
	look(&k);
	for (looks = 0; k.heartbeat.due != 0; looks++)
		look(&k);
	assert_int_equal(looks, 20); /* five seconds */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(front_keeper_child_died(&k, pid, "signal 9 (Killed)"));
	assert_int_not_equal(k.child.due, 0);
	assert_int_equal(k.heartbeat.due, 0);
	front_keeper_release(&k);
	close(front);
}

static void a_front_that_has_died_is_not_asked_any_more(void **state)
{
	struct front_keeper k;
	int front = run(&k);
	pid_t pid = k.child.pid;

	(void)state;
	look(&k);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(front_keeper_child_died(&k, pid, "signal 9 (Killed)"));
	assert_int_equal(k.heartbeat.due, 0);
	front_keeper_release(&k);
	close(front);
}

static void a_front_that_is_started_is_pinged_as_often_as_the_supervisor_must_hear(void **state)
{
	const struct front_setup setup = {0};
	struct front_keeper k;

	(void)state;
	front_keeper_init(&k, &log_file, CLOCK_SECOND / 5);
	front_keeper_work(&k, &setup, do_nothing, NULL);
	assert_int_not_equal(k.child.pid, 0);
	assert_int_equal(k.heartbeat.every, CLOCK_SECOND / 5);
	front_keeper_release(&k);
}

static void a_supervisor_that_must_hear_sooner_has_the_front_pinged_sooner(void **state)
{
	struct front_keeper k;

	(void)state;
	front_keeper_init(&k, &log_file, 0);
	assert_int_equal(k.ping_every, HEARTBEAT_EVERY_NS);
	front_keeper_init(&k, &log_file, 15 * CLOCK_SECOND);
	assert_int_equal(k.ping_every, HEARTBEAT_EVERY_NS);
	front_keeper_init(&k, &log_file, CLOCK_SECOND / 5);
	assert_int_equal(k.ping_every, CLOCK_SECOND / 5);
}

static void a_front_is_killed_before_the_supervisor_must_kill_the_host(void **state)
{
	struct front_keeper k;

	(void)state;
	front_keeper_init(&k, &log_file, 15 * CLOCK_SECOND);
	assert_int_equal(k.patience, 5 * CLOCK_SECOND);
	front_keeper_init(&k, &log_file, 2 * CLOCK_SECOND);
	assert_int_equal(k.patience, 2 * CLOCK_SECOND);
	/* A machine that is busy may keep a front from answering for a second. */
	front_keeper_init(&k, &log_file, CLOCK_SECOND / 5);
	assert_int_equal(k.patience, 3 * CLOCK_SECOND / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_that_has_lived_is_replaced_at_once),
	    TEST(each_that_dies_within_a_second_makes_the_wait_longer_up_to_five_seconds),
	    TEST(one_that_lived_makes_the_waits_short_again),
	    TEST(the_death_of_another_child_is_not_the_fronts),
	    TEST(before_its_time_none_is_started),
	    TEST(a_front_that_answers_is_pinged_again_and_lives),
	    TEST(a_front_that_hangs_is_killed_and_another_is_started),
	    TEST(a_front_that_has_died_is_not_asked_any_more),
	    TEST(a_front_that_is_started_is_pinged_as_often_as_the_supervisor_must_hear),
	    TEST(a_supervisor_that_must_hear_sooner_has_the_front_pinged_sooner),
	    TEST(a_front_is_killed_before_the_supervisor_must_kill_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
