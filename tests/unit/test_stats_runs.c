/* Runs that go on: the list of them, and how one is asked where it is. */
#include "base/clock.h"
#include "unit.h"

#include "base/buffer.h"
#include "ipc/run_channel.h"
#include "run/stats.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void runs_are_listed_oldest_first_each_with_its_state(void **state)
{
	struct stats *s = stats_create();
	struct stats_entry *first = stats_begin(s, "01", "a.py", "ada");
	struct stats_entry *second = stats_begin(s, "02", "b.tcl", "");
	struct stats_entry *third = stats_begin(s, "03", "a.py", "bob");
	struct stats_run *list;
	size_t n;

	(void)state;
	stats_runs(s, first, 4711, 99);
	stats_runs(s, second, 4712, 98);
	stats_ends(s, second);
	list = stats_list_runs(s, &n);
	assert_int_equal(n, 3);
	assert_string_equal(list[0].id, "01");
	assert_string_equal(list[0].extension, "a.py");
	assert_string_equal(list[0].user, "ada");
	assert_int_equal(list[0].state, STATS_RUNS);
	assert_int_equal(list[0].pid, 4711);
	assert_string_equal(list[1].id, "02");
	assert_int_equal(list[1].state, STATS_ENDS);
	assert_string_equal(list[2].id, "03");
	assert_int_equal(list[2].state, STATS_WAITS);
	assert_int_equal(list[2].pid, 0);
	free(list);
	stats_leave(s, second);
	list = stats_list_runs(s, &n);
	assert_int_equal(n, 2);
	assert_string_equal(list[1].id, "03");
	free(list);
	stats_leave(s, third);
	stats_leave(s, first);
	assert_null(stats_list_runs(s, &n));
	assert_int_equal(n, 0);
	stats_destroy(s);
}

/* A run that is this process, and what it does when it is asked where it is. */
struct asked {
	struct stats *s;
	struct stats_entry *entry;
	void (*reaction)(struct asked *);
};

static void *wait_to_be_asked(void *argument)
{
	struct asked *a = argument;
	const struct timespec patience = {.tv_sec = 10};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, RUN_STACK_SIGNAL);
	if (sigtimedwait(&set, NULL, &patience) == RUN_STACK_SIGNAL)
		a->reaction(a);
	return NULL;
}

static int ask(void (*reaction)(struct asked *), struct buffer *text, const char **reason)
{
	struct asked a = {.s = stats_create(), .reaction = reaction};
	int handle = (int)syscall(SYS_pidfd_open, getpid(), 0);
	pthread_t thread;
	sigset_t set;
	int result;

	assert_true(handle >= 0);
	sigemptyset(&set);
	sigaddset(&set, RUN_STACK_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	a.entry = stats_begin(a.s, "0a", "a.py", "");
	stats_runs(a.s, a.entry, getpid(), handle);
	assert_int_equal(pthread_create(&thread, NULL, wait_to_be_asked, &a), 0);
	result = stats_ask(a.s, "0a", text, reason);
	assert_int_equal(pthread_join(thread, NULL), 0);
	stats_leave(a.s, a.entry);
	close(handle);
	stats_destroy(a.s);
	return result;
}

static void say(struct asked *a)
{
	if (!stats_answer(a->s, a->entry, "line 7\n", 7))
		abort();
}

static void end(struct asked *a)
{
	stats_ends(a->s, a->entry);
}

static void leave(struct asked *a)
{
	stats_leave(a->s, a->entry);
	a->entry = NULL;
}

static void say_nothing(struct asked *a)
{
	struct buffer text = {0};
	const char *reason = "";

	/* A second client asks while the first one's question is open. */
	if (stats_ask(a->s, "0a", &text, &reason) == 0 ||
	    strcmp(reason, "somebody else is asking it") != 0)
		abort();
}

static void a_run_is_asked_by_a_signal_and_says_where_it_is(void **state)
{
	struct buffer text = {0};
	const char *reason = NULL;

	(void)state;
	assert_int_equal(ask(say, &text, &reason), 0);
	assert_string_equal(buffer_string(&text), "line 7\n");
	buffer_release(&text);
}

static void a_run_that_ends_while_it_is_asked_keeps_nobody_waiting(void **state)
{
	struct buffer text = {0};
	const char *reason = NULL;

	(void)state;
	assert_int_equal(ask(end, &text, &reason), -1);
	assert_string_equal(reason, "it has just ended");
	assert_int_equal(ask(leave, &text, &reason), -1);
	assert_string_equal(reason, "it has just ended");
	assert_int_equal(text.size, 0);
}

static void a_run_that_does_not_say_is_given_up(void **state)
{
	struct buffer text = {0};
	const char *reason = NULL;

	(void)state;
	assert_int_equal(ask(say_nothing, &text, &reason), -1);
	assert_string_equal(reason, "it does not say: it waits, or is in a library in C");
}

static void who_does_not_run_is_not_asked(void **state)
{
	struct stats *s = stats_create();
	struct stats_entry *entry = stats_begin(s, "0a", "a.py", "");
	struct buffer text = {0};
	const char *reason = NULL;

	(void)state;
	assert_int_equal(stats_ask(s, "0a", &text, &reason), -1);
	assert_string_equal(reason, "it waits for its turn");
	assert_int_equal(stats_ask(s, "0b", &text, &reason), -1);
	assert_string_equal(reason, "no such run");
	/* An answer without a question is not kept. */
	assert_false(stats_answer(s, entry, "line 7\n", 7));
	stats_ends(s, entry);
	assert_int_equal(stats_ask(s, "0a", &text, &reason), -1);
	assert_string_equal(reason, "it has just ended");
	stats_leave(s, entry);
	stats_destroy(s);
}

static uint64_t since(struct stats *s)
{
	size_t count;
	struct stats_run *list = stats_list_runs(s, &count);
	uint64_t result;

	assert_int_equal(count, 1);
	result = list[0].since;
	free(list);
	return result;
}

static void the_time_of_a_state_is_that_of_its_beginning(void **state)
{
	struct stats *s = stats_create();
	struct stats_entry *entry = stats_begin(s, "0a", "a.py", "");
	uint64_t waits = since(s), runs;

	(void)state;
	while (clock_now() == waits)
		;
	stats_runs(s, entry, 123, -1);
	runs = since(s);
	assert_true(runs > waits);
	while (clock_now() == runs)
		;
	stats_runs(s, entry, 123, -1);
	assert_int_equal(since(s), runs);
	stats_ends(s, entry);
	assert_true(since(s) > runs);
	stats_leave(s, entry);
	stats_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(runs_are_listed_oldest_first_each_with_its_state),
	    cmocka_unit_test(a_run_is_asked_by_a_signal_and_says_where_it_is),
	    cmocka_unit_test(a_run_that_ends_while_it_is_asked_keeps_nobody_waiting),
	    cmocka_unit_test(a_run_that_does_not_say_is_given_up),
	    cmocka_unit_test(who_does_not_run_is_not_asked),
	    cmocka_unit_test(the_time_of_a_state_is_that_of_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
