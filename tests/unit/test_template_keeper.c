/*
 * When a template is started, and what becomes of it. The templates are processes that do nothing:
 * the test sends their messages, and sets the time.
 */
#include "base/clock.h"
#include "unit.h"

#include "base/fd.h"
#include "base/log.h"
#include "binding.h"
#include "config/config.h"
#include "master/template_keeper.h"
#include "ipc/template_channel.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct binding tiny = {.name = "tiny"};
static struct log log_file;
static struct template_keeper k;

static int make_keeper(void **state)
{
	const struct config_list none = {0};

	(void)state;
	log_file = (struct log){.fd = fd_memory_file("unit")};
	template_keeper_init(&k, &tiny, &log_file, &none);
	return 0;
}

static int release_keeper(void **state)
{
	(void)state;
	template_keeper_release(&k);
	fd_close(&log_file.fd);
	return 0;
}

static bool has_logged(const char *text)
{
	char *all = unit_read(log_file.fd);
	bool found = strstr(all, text) != NULL;

	free(all);
	return found;
}

static void do_nothing(void *argument)
{
	(void)argument;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static uint64_t work(void)
{
	return template_keeper_work(&k, do_nothing, NULL);
}

/* A template that starts, and the template's ends of its status socket and its channel. */
struct fake {
	pid_t pid;
	int status, channel;
};

static struct fake begin(void)
{
	struct fake fake;
	int status[2], channel[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
	fake =
	    (struct fake){.pid = child_fork(&k.next), .status = status[1], .channel = channel[1]};
	assert_true(fake.pid >= 0);
	if (fake.pid == 0)
		do_nothing(NULL);
	k.status = status[0];
	k.channel = channel[0];
	return fake;
}

static void say(const struct fake *fake, enum template_event event, const char *text)
{
	struct template_status message = {.event = event};

	memcpy(message.text, text, strlen(text) + 1);
	assert_int_equal(send(fake->status, &message, sizeof(message), 0), sizeof(message));
}

static void forget(struct fake *fake)
{
	fd_close(&fake->status);
	fd_close(&fake->channel);
}

static void die(struct fake *fake)
{
	assert_int_equal(kill(fake->pid, SIGKILL), 0);
	assert_int_equal(waitpid(fake->pid, NULL, 0), fake->pid);
	forget(fake);
}

/* One comes up, and goes on to listen. */
static struct fake serve(void)
{
	struct fake fake = begin();
	int channel = -1;

	say(&fake, TEMPLATE_READY, "");
	assert_true(template_keeper_take_status(&k, &channel));
	assert_true(channel >= 0);
	close(channel);
	return fake;
}

/* One comes up. */
static pid_t come_up(void)
{
	struct fake fake = serve();

	forget(&fake);
	return fake.pid;
}

/* The time of the next look at the template that serves has come. */
static void look(void)
{
	uint64_t next;

	assert_int_not_equal(k.heartbeat.due, 0);
	k.heartbeat.due = 1;
	next = work();
	assert_true(k.heartbeat.due == 0 || (next != 0 && next <= k.heartbeat.due));
}

static void hear_ping(const struct fake *fake)
{
	char ping;

	assert_int_equal(recv(fake->status, &ping, sizeof(ping), MSG_DONTWAIT), 1);
}

/* What to send to the front; false: nothing has changed. */
static bool has_changed(pid_t *pid, bool *answers)
{
	return template_keeper_has_changed(&k, pid, answers);
}

/* One dies while it starts. The nanoseconds until the next is to be started, within *slack. */
static uint64_t fail_to_start(uint64_t *slack)
{
	struct fake fake = begin();
	uint64_t before;

	die(&fake);
	before = clock_now();
	assert_true(template_keeper_child_died(&k, fake.pid, "exit status 1"));
	*slack = clock_now() - before;
	return k.next.due != 0 ? k.next.due - before : 0;
}

static void nothing_is_started_that_nobody_wants(void **state)
{
	(void)state;
	assert_int_equal(work(), 0);
	assert_int_equal(k.next.pid, 0);
	assert_true(template_keeper_is_at_rest(&k));
}

static void one_is_started_when_its_time_has_come_and_not_before(void **state)
{
	uint64_t at;

	(void)state;
	template_keeper_want(&k, 3600 * CLOCK_SECOND);
	at = k.next.due;
	assert_false(template_keeper_is_at_rest(&k));
	assert_int_equal(work(), at);
	assert_int_equal(k.next.pid, 0);
	k.next.due = 1;
	work();
	assert_true(k.next.pid > 0);
	assert_int_equal(k.next.due, 0);
	assert_false(template_keeper_is_at_rest(&k));
}

static void of_two_wishes_the_earlier_one_counts(void **state)
{
	uint64_t at;

	(void)state;
	template_keeper_want(&k, 3600 * CLOCK_SECOND);
	template_keeper_want(&k, 60 * CLOCK_SECOND);
	at = k.next.due;
	assert_in_range(at - clock_now(), 1, 60 * CLOCK_SECOND);
	template_keeper_want(&k, 3600 * CLOCK_SECOND);
	assert_int_equal(k.next.due, at);
}

static void only_one_starts_at_a_time(void **state)
{
	struct fake fake = begin();
	uint64_t deadline = k.next.deadline;

	(void)state;
	template_keeper_want(&k, 0);
	assert_int_equal(work(), deadline);
	assert_int_equal(k.next.pid, fake.pid);
	assert_int_not_equal(k.next.due, 0);
	say(&fake, TEMPLATE_READY, "");
	assert_true(template_keeper_take_status(&k, &(int){-1}));
	work();
	assert_true(k.next.pid > 0);
	assert_int_not_equal(k.next.pid, fake.pid);
	forget(&fake);
}

static void it_has_a_minute_to_say_that_it_is_ready(void **state)
{
	uint64_t due;

	(void)state;
	template_keeper_want(&k, 0);
	due = work();
	assert_int_equal(due, k.next.deadline);
	assert_in_range(due, clock_now() + 30 * CLOCK_SECOND, clock_now() + 60 * CLOCK_SECOND);
}

static void one_that_is_not_ready_in_time_is_killed_and_another_is_started(void **state)
{
	struct fake fake = begin();
	int status;

	(void)state;
	k.ready = true;
	k.next.deadline = 1;
	assert_true(work() > clock_now() + CLOCK_SECOND);
	assert_int_equal(waitpid(fake.pid, &status, 0), fake.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(template_keeper_child_died(&k, fake.pid, "signal 9 (Killed)"));
	assert_int_equal(k.next.pid, 0);
	assert_int_not_equal(k.next.due, 0);
	assert_true(has_logged("tiny template: signal 9 (Killed) while starting"));
	forget(&fake);
}

static void one_that_has_time_left_is_let_be(void **state)
{
	struct fake fake = begin();

	(void)state;
	work();
	assert_int_equal(waitpid(fake.pid, NULL, WNOHANG), 0);
	assert_int_equal(kill(fake.pid, 0), 0);
	forget(&fake);
}

static void each_failed_start_is_followed_by_a_longer_wait_up_to_five_seconds(void **state)
{
	static const unsigned expected[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
	uint64_t slack;

	(void)state;
	k.ready = true;
	for (size_t i = 0; i < UNIT_COUNT(expected); i++) {
		uint64_t wait = fail_to_start(&slack);

		assert_in_range(
		    wait, expected[i] * CLOCK_MILLISECOND, expected[i] * CLOCK_MILLISECOND + slack);
	}
}

static void the_first_that_comes_up_makes_the_waits_short_again(void **state)
{
	uint64_t slack, wait;

	(void)state;
	k.ready = true;
	for (int i = 0; i < 5; i++)
		fail_to_start(&slack);
	come_up();
	child_forget(&k.serving);
	wait = fail_to_start(&slack);
	assert_in_range(wait, 100 * CLOCK_MILLISECOND, 100 * CLOCK_MILLISECOND + slack);
}

static void the_very_first_that_fails_leaves_no_hope(void **state)
{
	uint64_t slack;

	(void)state;
	assert_int_equal(fail_to_start(&slack), 0);
	assert_true(k.hopeless);
}

static void after_one_that_came_up_there_is_hope(void **state)
{
	uint64_t slack;

	(void)state;
	come_up();
	child_forget(&k.serving);
	assert_int_not_equal(fail_to_start(&slack), 0);
	assert_false(k.hopeless);
}

static void what_was_noticed_may_be_why_and_the_next_starts_without(void **state)
{
	uint64_t slack;

	(void)state;
	template_keeper_notice(&k, "tiny:module");
	assert_int_equal(k.preload.names.count, 1);
	assert_int_not_equal(fail_to_start(&slack), 0);
	assert_false(k.hopeless);
	assert_int_equal(k.preload.names.count, 0);
	assert_int_equal(fail_to_start(&slack), 0);
	assert_true(k.hopeless);
}

static void as_long_as_an_old_one_serves_a_failed_one_is_not_tried_again(void **state)
{
	pid_t old = come_up();
	uint64_t slack;

	(void)state;
	assert_int_equal(fail_to_start(&slack), 0);
	assert_int_equal(k.serving.pid, old);
	assert_false(k.hopeless);
	assert_true(template_keeper_is_at_rest(&k));
}

static void one_that_is_ready_takes_over_and_its_channel_is_passed_on(void **state)
{
	pid_t old = come_up();
	struct fake fake = begin();
	int passed = k.channel, channel = -1;

	(void)state;
	assert_false(template_keeper_take_status(&k, &channel));
	say(&fake, TEMPLATE_READY, "");
	assert_true(template_keeper_take_status(&k, &channel));
	assert_int_equal(channel, passed);
	assert_int_equal(k.serving.pid, fake.pid);
	assert_int_equal(k.next.pid, 0);
	assert_int_equal(k.status, -1);
	assert_true(k.ready);
	/* The old template ends by itself, and the keeper no longer knows it. */
	assert_false(template_keeper_child_died(&k, old, "exit status 0"));
	assert_true(template_keeper_is_at_rest(&k));
	assert_int_equal(kill(old, SIGKILL), 0);
	assert_int_equal(waitpid(old, NULL, 0), old);
	close(channel);
	forget(&fake);
}

static void what_does_not_load_ahead_is_left_out_from_then_on(void **state)
{
	struct fake fake;
	int channel;

	(void)state;
	template_keeper_notice(&k, "tiny:thread");
	fake = begin();
	say(&fake, TEMPLATE_REFUSED, "tiny:thread");
	assert_false(template_keeper_take_status(&k, &channel));
	assert_int_equal(k.preload.names.count, 0);
	assert_in_range(k.next.due, 1, clock_now());
	assert_true(has_logged("tiny:thread starts a thread"));
	k.next.due = 0;
	template_keeper_notice(&k, "tiny:thread");
	assert_int_equal(k.next.due, 0);
	forget(&fake);
}

static void why_it_fails_is_logged(void **state)
{
	struct fake fake = begin();
	int channel;

	(void)state;
	say(&fake, TEMPLATE_FAILED, "no library");
	assert_false(template_keeper_take_status(&k, &channel));
	assert_true(has_logged("error tiny template: no library"));
	forget(&fake);
}

static void a_template_that_dies_is_replaced_at_once(void **state)
{
	pid_t pid = come_up();

	(void)state;
	assert_true(template_keeper_child_died(&k, pid, "signal 11 (Segmentation fault)"));
	assert_in_range(k.next.due, 1, clock_now());
	assert_true(has_logged("signal 11 (Segmentation fault); starting another"));
	assert_int_equal(k.serving.pid, 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void one_that_was_ready_and_died_before_anybody_heard_is_a_template_that_died(void **state)
{
	struct fake fake = begin();

	(void)state;
	say(&fake, TEMPLATE_READY, "");
	die(&fake);
	assert_true(template_keeper_child_died(&k, fake.pid, "exit status 1"));
	assert_false(k.hopeless);
	assert_in_range(k.next.due, 1, clock_now());
	assert_int_equal(k.next.pid, 0);
	assert_int_equal(k.channel, -1);
}

static void one_that_answers_is_pinged_again_and_again_and_lives(void **state)
{
	struct fake fake = serve();

	(void)state;
	for (int i = 0; i < 20; i++) {
		look();
		hear_ping(&fake);
		look();
		say(&fake, TEMPLATE_ANSWERS, "");
		template_keeper_take_answer(&k);
	}
	assert_int_equal(waitpid(fake.pid, NULL, WNOHANG), 0);
	assert_int_equal(k.serving.pid, fake.pid);
	assert_true(work() <= clock_now() + CLOCK_SECOND);
	forget(&fake);
}

static void one_that_hangs_is_killed_and_another_is_started(void **state)
{
	struct fake fake = serve();
	int looks, status;

	(void)state;
	look();
	for (looks = 0; k.heartbeat.due != 0; looks++)
		look();
	assert_int_equal(looks, 8); /* two seconds */
	assert_true(has_logged("error tiny template: does not answer, so it is killed"));
	assert_int_equal(waitpid(fake.pid, &status, 0), fake.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(template_keeper_child_died(&k, fake.pid, "signal 9 (Killed)"));
	assert_in_range(k.next.due, 1, clock_now());
	assert_int_equal(k.serving.pid, 0);
	forget(&fake);
}

static void whether_one_serves_and_answers_is_told_when_it_changes(void **state)
{
	struct fake fake = serve();
	pid_t pid;
	bool answers;

	(void)state;
	assert_true(has_changed(&pid, &answers));
	assert_int_equal(pid, fake.pid);
	assert_true(answers);
	for (int i = 0; i < 3; i++)
		look(); /* a ping, and half a second */
	assert_true(has_changed(&pid, &answers));
	assert_int_equal(pid, fake.pid);
	assert_false(answers);
	look();
	assert_false(has_changed(&pid, &answers));
	say(&fake, TEMPLATE_ANSWERS, "");
	template_keeper_take_answer(&k);
	assert_true(has_changed(&pid, &answers));
	assert_true(answers);
	die(&fake);
	assert_true(template_keeper_child_died(&k, fake.pid, "signal 9 (Killed)"));
	assert_true(has_changed(&pid, &answers));
	assert_int_equal(pid, 0);
	assert_false(has_changed(&pid, &answers));
}

static void one_that_is_gone_is_not_pinged(void **state)
{
	struct fake fake = serve();

	(void)state;
	die(&fake);
	template_keeper_take_answer(&k);
	assert_int_equal(k.pings, -1);
	look();
	assert_true(template_keeper_child_died(&k, fake.pid, "exit status 1"));
	assert_int_equal(k.heartbeat.due, 0);
}

static void one_that_starts_gets_the_log_that_was_opened_anew(void **state)
{
	struct fake fake = begin();
	struct template_order order = {0};
	int fds[FD_PASS_MAX];

	(void)state;
	template_keeper_reopen_log(&k);
	assert_int_equal(
	    fd_receive(fake.channel, &order, sizeof(order), fds, MSG_DONTWAIT), sizeof(order));
	assert_int_equal(order.log, 1);
	assert_true(fds[0] >= 0);
	fd_close(&fds[0]);
	forget(&fake);
}

static void a_child_of_somebody_else_is_not_this_keepers(void **state)
{
	struct fake fake = begin();

	(void)state;
	assert_false(template_keeper_child_died(&k, getpid(), "exit status 0"));
	assert_int_equal(k.next.pid, fake.pid);
	assert_int_equal(k.next.due, 0);
	forget(&fake);
}

static void modules_in_use_are_gathered_for_one_new_template(void **state)
{
	uint64_t at;

	(void)state;
	template_keeper_notice(&k, "tiny:one");
	at = k.next.due;
	assert_in_range(at - clock_now(), 1, 300 * CLOCK_MILLISECOND);
	template_keeper_notice(&k, "tiny:two");
	assert_int_equal(k.next.due, at);
	assert_int_equal(k.preload.names.count, 2);
	k.next.due = 0;
	template_keeper_notice(&k, "tiny:one");
	assert_int_equal(k.next.due, 0);
}

static void without_a_front_a_new_template_is_wanted(void **state)
{
	pid_t old = come_up();

	(void)state;
	template_keeper_forget_template(&k);
	assert_int_equal(k.serving.pid, 0);
	assert_in_range(k.next.due, 1, clock_now());
	assert_int_equal(kill(old, SIGKILL), 0);
	assert_int_equal(waitpid(old, NULL, 0), old);
}

static void both_its_processes_are_ended_with_it(void **state)
{
	pid_t old = come_up();
	struct fake fake = begin();

	(void)state;
	template_keeper_release(&k);
	assert_int_equal(kill(old, 0), -1);
	assert_int_equal(kill(fake.pid, 0), -1);
	child_forget(&k.serving);
	forget(&fake);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_keeper, release_keeper)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing_is_started_that_nobody_wants),
	    TEST(one_is_started_when_its_time_has_come_and_not_before),
	    TEST(of_two_wishes_the_earlier_one_counts),
	    TEST(only_one_starts_at_a_time),
	    TEST(it_has_a_minute_to_say_that_it_is_ready),
	    TEST(one_that_is_not_ready_in_time_is_killed_and_another_is_started),
	    TEST(one_that_has_time_left_is_let_be),
	    TEST(each_failed_start_is_followed_by_a_longer_wait_up_to_five_seconds),
	    TEST(the_first_that_comes_up_makes_the_waits_short_again),
	    TEST(the_very_first_that_fails_leaves_no_hope),
	    TEST(after_one_that_came_up_there_is_hope),
	    TEST(what_was_noticed_may_be_why_and_the_next_starts_without),
	    TEST(as_long_as_an_old_one_serves_a_failed_one_is_not_tried_again),
	    TEST(one_that_is_ready_takes_over_and_its_channel_is_passed_on),
	    TEST(what_does_not_load_ahead_is_left_out_from_then_on),
	    TEST(why_it_fails_is_logged),
	    TEST(a_template_that_dies_is_replaced_at_once),
	    TEST(one_that_was_ready_and_died_before_anybody_heard_is_a_template_that_died),
	    TEST(one_that_answers_is_pinged_again_and_again_and_lives),
	    TEST(one_that_hangs_is_killed_and_another_is_started),
	    TEST(whether_one_serves_and_answers_is_told_when_it_changes),
	    TEST(one_that_is_gone_is_not_pinged),
	    TEST(one_that_starts_gets_the_log_that_was_opened_anew),
	    TEST(a_child_of_somebody_else_is_not_this_keepers),
	    TEST(modules_in_use_are_gathered_for_one_new_template),
	    TEST(without_a_front_a_new_template_is_wanted),
	    TEST(both_its_processes_are_ended_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
