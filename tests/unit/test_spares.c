/* Which thread gets a forked request process. No thread waits while there is a spare. */
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "run/spares.h"
#include "ipc/process_handle.h"
#include "ipc/template_channel.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TIMES 300
#define PATIENCE 10000 /* milliseconds */

static atomic_int clock_offset; /* seconds */

/* In the place of the C library's: conditions and poll(2) go by the kernel's clock all the same. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += atomic_load(&clock_offset);
	return result;
}

struct taker {
	struct spares *spares;
	atomic_bool done;
	int result;
	struct error e;
};

static void *take_one(void *argument)
{
	struct taker *t = argument;
	struct process_handle p;

	t->result = spares_take(t->spares, 0, &p, &t->e);
	if (t->result == 0)
		process_handle_release(&p);
	atomic_store(&t->done, true);
	return NULL;
}

/* As the template does it: an order comes with three descriptors, */
static void take_order(int channel, struct process_ends *ends)
{
	struct pollfd event = {.fd = channel, .events = POLLIN};
	struct template_order order;
	int fds[FD_PASS_MAX];

	assert_int_equal(poll(&event, 1, PATIENCE), 1);
	assert_int_equal(fd_receive(channel, &order, sizeof(order), fds, 0), sizeof(order));
	for (int i = 0; i < PROCESS_ENDS; i++)
		assert_true(fds[i] >= 0);
	*ends = (struct process_ends){fds[0], fds[1], fds[2]};
}

/* its answer is a process id, or -1. */
static void answer(int channel, pid_t pid)
{
	const struct template_answer message = {.pid = pid};

	assert_true(fd_send(channel, &message, sizeof(message), NULL, 0) >= 0);
}

static void answer_order(int channel)
{
	struct process_ends ends;

	take_order(channel, &ends);
	process_ends_close(&ends);
	answer(channel, getpid());
}

/* There is no order more. */
static void assert_no_order(int channel)
{
	struct pollfd event = {.fd = channel, .events = POLLIN};

	assert_int_equal(poll(&event, 1, 0), 0);
}

static struct spares *make(size_t wanted, int *template)
{
	struct spares *spares = spares_create(1, wanted);
	int ends[2];

	assert_non_null(spares);
	if (template != NULL) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
		spares_connect(spares, 0, ends[0]);
		*template = ends[1];
	}
	return spares;
}

static void begin_to_take(struct taker *t, pthread_t *thread, struct spares *spares)
{
	*t = (struct taker){.spares = spares};
	assert_int_equal(pthread_create(thread, NULL, take_one, t), 0);
}

/* Wait for the taker's result, 0 or -1, which must be there or due. */
static int result_of(struct taker *t, pthread_t thread)
{
	for (int i = 0; !atomic_load(&t->done); i++) {
		assert_in_range(i, 0, PATIENCE);
		poll(NULL, 0, 1);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	return t->result;
}

static void who_looks_how_many_there_are_keeps_none_from_who_waits(void **state)
{
	struct spares *spares = spares_create(1, 0);
	int ends[2];

	(void)state;
	assert_non_null(spares);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	spares_connect(spares, 0, ends[0]);
	for (int i = 0; i < TIMES; i++) {
		struct taker t = {.spares = spares};
		time_t end = time(NULL) + 5;
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, take_one, &t), 0);
		answer_order(ends[1]);
		while (!atomic_load(&t.done) && time(NULL) < end)
			spares_count(spares, 0);
		assert_true(atomic_load(&t.done));
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(t.result, 0);
	}
	spares_destroy(spares);
	close(ends[1]);
}

static void as_many_as_are_wanted_are_ordered_from_a_new_template(void **state)
{
	int template;
	struct spares *spares = make(3, &template);

	(void)state;
	assert_int_equal(spares_count(spares, 0), 0);
	for (size_t i = 1; i <= 3; i++) {
		answer_order(template);
		assert_int_equal(spares_count(spares, 0), i);
	}
	assert_no_order(template);
	spares_destroy(spares);
	close(template);
}

/* A template forks no process for such an order, and no thread waits for its answer. */
static void a_log_is_handed_to_the_template_and_counts_as_no_order_for_a_process(void **state)
{
	int template;
	struct spares *spares = make(1, &template);
	struct template_order order;
	int fds[FD_PASS_MAX];

	(void)state;
	answer_order(template);
	spares_set_log(spares, STDERR_FILENO);
	assert_int_equal(fd_receive(template, &order, sizeof(order), fds, 0), sizeof(order));
	assert_int_equal(order.log, 1);
	assert_true(fds[0] >= 0);
	assert_int_equal(fds[1], -1);
	close(fds[0]);
	assert_no_order(template);
	assert_int_equal(spares_count(spares, 0), 1);
	spares_destroy(spares);
	close(template);
}

static void one_that_is_ahead_is_taken_at_once_and_replaced_when_that_is_asked_for(void **state)
{
	int template;
	struct spares *spares = make(1, &template);
	struct process_handle p;
	struct error e;

	(void)state;
	answer_order(template);
	assert_int_equal(spares_take(spares, 0, &p, &e), 0);
	assert_int_equal(p.pid, getpid());
	assert_no_order(template);
	spares_replace(spares, 0);
	answer_order(template);
	assert_int_equal(spares_count(spares, 0), 1);
	process_handle_release(&p);
	spares_destroy(spares);
	close(template);
}

static void a_process_has_the_number_of_its_template(void **state)
{
	int template, ends[2];
	struct spares *spares = make(1, &template);
	struct process_handle first, second;
	struct error e;

	(void)state;
	answer_order(template);
	assert_int_equal(spares_take(spares, 0, &first, &e), 0);
	assert_int_equal(first.template, spares_template(spares, 0));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	spares_connect(spares, 0, ends[0]);
	assert_int_not_equal(first.template, spares_template(spares, 0));
	answer_order(ends[1]);
	assert_int_equal(spares_take(spares, 0, &second, &e), 0);
	assert_int_equal(second.template, spares_template(spares, 0));
	process_handle_release(&first);
	process_handle_release(&second);
	spares_destroy(spares);
	close(template);
	close(ends[1]);
}

static void none_is_ordered_beyond_those_that_are_wanted(void **state)
{
	struct process_ends ends;
	int template;
	struct spares *spares = make(1, &template);

	(void)state;
	take_order(template, &ends);
	spares_replace(spares, 0); /* one is on its way */
	assert_no_order(template);
	answer(template, getpid());
	assert_int_equal(spares_count(spares, 0), 1);
	spares_replace(spares, 0); /* one is there */
	assert_no_order(template);
	spares_want(spares, 2);
	spares_replace(spares, 0);
	answer_order(template);
	process_ends_close(&ends);
	spares_destroy(spares);
	close(template);
}

static void each_that_waits_orders_one_and_no_more(void **state)
{
	struct taker takers[3];
	pthread_t threads[3];
	int template;
	struct spares *spares = make(0, &template);
	struct process_ends ends[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		begin_to_take(&takers[i], &threads[i], spares);
		take_order(template, &ends[i]);
		/* It orders with the lock held, and gives it away when it waits. */
		spares_count(spares, 0);
		assert_no_order(template);
	}
	for (size_t i = 0; i < 3; i++)
		answer(template, getpid());
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(result_of(&takers[i], threads[i]), 0);
		process_ends_close(&ends[i]);
	}
	assert_no_order(template);
	assert_int_equal(spares_count(spares, 0), 0);
	spares_destroy(spares);
	close(template);
}

static void a_fork_that_fails_fails_who_waits(void **state)
{
	struct process_ends ends;
	struct taker t;
	pthread_t thread;
	int template;
	struct spares *spares = make(0, &template);

	(void)state;
	begin_to_take(&t, &thread, spares);
	take_order(template, &ends);
	answer(template, -1);
	assert_int_equal(result_of(&t, thread), -1);
	assert_string_equal(t.e.message, "no request process could be forked");
	assert_int_equal(spares_count(spares, 0), 0);
	process_ends_close(&ends);
	spares_destroy(spares);
	close(template);
}

static void a_failure_of_long_ago_is_nothing_to_who_comes_later(void **state)
{
	struct process_ends ends;
	struct process_handle p;
	struct error e;
	int template;
	struct spares *spares = make(1, &template);

	(void)state;
	take_order(template, &ends);
	answer(template, -1);
	assert_int_equal(spares_count(spares, 0), 0);
	process_ends_close(&ends);
	spares_replace(spares, 0);
	answer_order(template);
	assert_int_equal(spares_take(spares, 0, &p, &e), 0);
	process_handle_release(&p);
	spares_destroy(spares);
	close(template);
}

static void who_waits_when_the_template_dies_is_served_by_the_next(void **state)
{
	struct process_ends ends;
	struct taker t;
	pthread_t thread;
	int template, next[2];
	struct spares *spares = make(0, &template);

	(void)state;
	begin_to_take(&t, &thread, spares);
	take_order(template, &ends);
	close(template);
	process_ends_close(&ends);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, next), 0);
	spares_connect(spares, 0, next[0]);
	answer_order(next[1]);
	assert_int_equal(result_of(&t, thread), 0);
	spares_destroy(spares);
	close(next[1]);
}

/* The template is replaced while it lives; the thread that waits on its channel closes it. */
static void who_waits_when_the_template_is_replaced_is_served_by_the_next(void **state)
{
	struct process_ends ends;
	struct taker t;
	pthread_t thread;
	int template, next[2];
	struct spares *spares = make(0, &template);
	struct template_order order;
	int fds[FD_PASS_MAX];

	(void)state;
	begin_to_take(&t, &thread, spares);
	take_order(template, &ends);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, next), 0);
	spares_connect(spares, 0, next[0]);
	answer_order(next[1]);
	assert_int_equal(result_of(&t, thread), 0);
	assert_int_equal(fd_receive(template, &order, sizeof(order), fds, 0), 0);
	process_ends_close(&ends);
	spares_destroy(spares);
	close(template);
	close(next[1]);
}

static void spares_of_an_earlier_template_are_let_go(void **state)
{
	struct process_ends ends;
	struct pollfd event = {.events = POLLIN};
	int template, next[2];
	struct spares *spares = make(1, &template);

	(void)state;
	take_order(template, &ends);
	answer(template, getpid());
	assert_int_equal(spares_count(spares, 0), 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, next), 0);
	spares_connect(spares, 0, next[0]);
	assert_int_equal(spares_count(spares, 0), 0);
	event.fd = ends.channel;
	assert_int_equal(poll(&event, 1, 0), 1);
	assert_true((event.revents & POLLHUP) != 0);
	answer_order(next[1]);
	assert_int_equal(spares_count(spares, 0), 1);
	process_ends_close(&ends);
	spares_destroy(spares);
	close(template);
	close(next[1]);
}

static void without_a_template_there_is_none_after_twenty_seconds(void **state)
{
	struct spares *spares = make(1, NULL);
	struct process_handle p;
	struct error e;

	(void)state;
	atomic_store(&clock_offset, -21); /* the deadline is over as soon as it is set */
	assert_int_equal(spares_take(spares, 0, &p, &e), -1);
	atomic_store(&clock_offset, 0);
	assert_string_equal(e.message, "no template process has come up");
	spares_destroy(spares);
}

/* How many threads wait, and how many waits were reported. */
static atomic_int waits_now, waits_reported;

static void take_report(void *context, int language, bool on)
{
	assert_ptr_equal(context, &waits_now);
	assert_int_equal(language, 0);
	atomic_fetch_add(&waits_now, on ? 1 : -1);
	atomic_fetch_add(&waits_reported, on);
}

static void wait_until_reported(int count)
{
	for (int i = 0; atomic_load(&waits_reported) < count; i++) {
		assert_in_range(i, 0, PATIENCE);
		poll(NULL, 0, 1);
	}
}

static void who_waits_long_is_told_of_until_a_process_is_there(void **state)
{
	struct process_ends ends[2];
	struct taker takers[2];
	pthread_t threads[2];
	int template;
	struct spares *spares = make(0, &template);

	(void)state;
	atomic_store(&waits_reported, 0);
	spares_tell_waits(spares, take_report, &waits_now);
	for (int i = 0; i < 2; i++) {
		begin_to_take(&takers[i], &threads[i], spares);
		take_order(template, &ends[i]);
	}
	wait_until_reported(2);
	for (int i = 0; i < 2; i++)
		answer(template, getpid());
	for (int i = 0; i < 2; i++) {
		assert_int_equal(result_of(&takers[i], threads[i]), 0);
		process_ends_close(&ends[i]);
	}
	assert_int_equal(atomic_load(&waits_now), 0);
	assert_int_equal(atomic_load(&waits_reported), 2);
	spares_destroy(spares);
	close(template);
}

static void a_wait_that_ends_in_failure_is_over_too(void **state)
{
	struct process_ends ends;
	struct taker t;
	pthread_t thread;
	int template;
	struct spares *spares = make(0, &template);

	(void)state;
	atomic_store(&waits_reported, 0);
	spares_tell_waits(spares, take_report, &waits_now);
	begin_to_take(&t, &thread, spares);
	take_order(template, &ends);
	wait_until_reported(1);
	answer(template, -1);
	assert_int_equal(result_of(&t, thread), -1);
	assert_int_equal(atomic_load(&waits_now), 0);
	process_ends_close(&ends);
	spares_destroy(spares);
	close(template);
}

/* It hangs, and its channel is full: no order waits for it, and what it has it may still do. */
static void a_template_that_takes_no_orders_keeps_nobody_waiting_with_the_lock(void **state)
{
	const int smallest = 1; /* of the sender: it has to wait after a few orders */
	struct spares *spares = make(0, NULL);
	int ends[2], orders;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(
	    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest)), 0);
	spares_connect(spares, 0, ends[0]);
	spares_want(spares, 256);
	for (int i = 0; i < 256; i++)
		spares_replace(spares, 0);
	assert_int_equal(spares_count(spares, 0), 0);
	for (orders = 0; poll(&(struct pollfd){.fd = ends[1], .events = POLLIN}, 1, 0) == 1;
	     orders++)
		answer_order(ends[1]);
	assert_in_range(orders, 1, 255);
	assert_int_equal(spares_count(spares, 0), orders);
	spares_destroy(spares);
	close(ends[1]);
}

static void a_template_that_comes_within_them_serves_who_waits(void **state)
{
	struct taker t;
	pthread_t thread;
	int next[2];
	struct spares *spares = make(0, NULL);

	(void)state;
	atomic_store(&clock_offset, -5);
	begin_to_take(&t, &thread, spares);
	poll(NULL, 0, 20); /* it may wait by now, or come later: both are right */
	assert_false(atomic_load(&t.done));
	atomic_store(&clock_offset, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, next), 0);
	spares_connect(spares, 0, next[0]);
	answer_order(next[1]);
	assert_int_equal(result_of(&t, thread), 0);
	spares_destroy(spares);
	close(next[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_looks_how_many_there_are_keeps_none_from_who_waits),
	    cmocka_unit_test(as_many_as_are_wanted_are_ordered_from_a_new_template),
	    cmocka_unit_test(a_log_is_handed_to_the_template_and_counts_as_no_order_for_a_process),
	    cmocka_unit_test(
		one_that_is_ahead_is_taken_at_once_and_replaced_when_that_is_asked_for),
	    cmocka_unit_test(none_is_ordered_beyond_those_that_are_wanted),
	    cmocka_unit_test(a_process_has_the_number_of_its_template),
	    cmocka_unit_test(each_that_waits_orders_one_and_no_more),
	    cmocka_unit_test(a_fork_that_fails_fails_who_waits),
	    cmocka_unit_test(a_failure_of_long_ago_is_nothing_to_who_comes_later),
	    cmocka_unit_test(who_waits_when_the_template_dies_is_served_by_the_next),
	    cmocka_unit_test(who_waits_when_the_template_is_replaced_is_served_by_the_next),
	    cmocka_unit_test(spares_of_an_earlier_template_are_let_go),
	    cmocka_unit_test(without_a_template_there_is_none_after_twenty_seconds),
	    cmocka_unit_test(who_waits_long_is_told_of_until_a_process_is_there),
	    cmocka_unit_test(a_wait_that_ends_in_failure_is_over_too),
	    cmocka_unit_test(a_template_that_takes_no_orders_keeps_nobody_waiting_with_the_lock),
	    cmocka_unit_test(a_template_that_comes_within_them_serves_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
