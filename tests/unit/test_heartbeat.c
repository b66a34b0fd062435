/* When a process that does not answer counts as hung. The clock is the test's. */
#include "base/clock.h"
#include "unit.h"

#include "master/heartbeat.h"

#include <time.h>

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

static struct heartbeat h;

static int begin(void **state)
{
	(void)state;
	heartbeat_begin(&h, CLOCK_SECOND, 2 * CLOCK_SECOND);
	return 0;
}

/* Let time go on to the next step. */
static enum heartbeat_step step(void)
{
	assert_true(h.due >= clock_now());
	clock_offset += h.due - clock_now();
	return heartbeat_step(&h);
}

/* Steps until it is lost; the nanoseconds that it takes. */
static uint64_t lose(unsigned *late)
{
	uint64_t began = clock_now();
	enum heartbeat_step found;

	*late = 0;
	assert_int_equal(step(), HEARTBEAT_PING);
	while ((found = step()) != HEARTBEAT_LOST) {
		assert_int_not_equal(found, HEARTBEAT_PING);
		*late += found == HEARTBEAT_LATE;
	}
	return clock_now() - began;
}

static void answer(void)
{
	assert_int_equal(step(), HEARTBEAT_PING);
	assert_false(heartbeat_answer(&h));
}

static void a_process_that_answers_is_asked_once_in_each_period(void **state)
{
	uint64_t began = clock_now();

	(void)state;
	for (int i = 0; i < 100; i++)
		answer();
	assert_int_equal(clock_now() - began, 99 * CLOCK_SECOND);
}

static void before_its_time_nothing_is_to_be_done(void **state)
{
	(void)state;
	answer();
	assert_int_equal(heartbeat_step(&h), HEARTBEAT_WAIT);
	clock_offset += h.due - clock_now() - 1;
	assert_int_equal(heartbeat_step(&h), HEARTBEAT_WAIT);
}

static void a_process_that_hangs_is_late_once_and_then_lost_within_three_seconds(void **state)
{
	unsigned late;

	(void)state;
	answer();
	assert_in_range(lose(&late), CLOCK_SECOND, 3 * CLOCK_SECOND);
	assert_int_equal(late, 1);
	assert_true(heartbeat_is_late(&h));
}

static void a_process_that_starts_has_ten_seconds(void **state)
{
	unsigned late;

	(void)state;
	assert_int_equal(lose(&late), 10 * CLOCK_SECOND);
}

static void a_late_answer_counts_and_is_called_late(void **state)
{
	(void)state;
	answer();
	assert_int_equal(step(), HEARTBEAT_PING);
	assert_int_equal(step(), HEARTBEAT_WAIT);
	assert_false(heartbeat_is_late(&h));
	assert_int_equal(step(), HEARTBEAT_LATE);
	assert_true(heartbeat_is_late(&h));
	assert_true(heartbeat_answer(&h));
	assert_false(heartbeat_is_late(&h));
	answer();
}

/* A container that was frozen, or a machine that was busy: one look, whatever the clock says. */
static void the_clock_alone_condemns_no_process(void **state)
{
	(void)state;
	answer();
	assert_int_equal(step(), HEARTBEAT_PING);
	clock_offset += 3600 * CLOCK_SECOND;
	assert_int_equal(heartbeat_step(&h), HEARTBEAT_WAIT);
	assert_false(heartbeat_answer(&h));
}

static void an_answer_to_no_ping_is_nothing(void **state)
{
	(void)state;
	answer();
	assert_false(heartbeat_answer(&h));
	assert_int_equal(step(), HEARTBEAT_PING);
}

static void an_answer_to_no_ping_does_not_shorten_the_time_to_start(void **state)
{
	unsigned late;

	(void)state;
	assert_false(heartbeat_answer(&h));
	assert_int_equal(lose(&late), 10 * CLOCK_SECOND);
}

static void a_slow_answer_does_not_put_the_next_ping_off(void **state)
{
	uint64_t pinged;

	(void)state;
	assert_int_equal(step(), HEARTBEAT_PING);
	pinged = clock_now();
	clock_offset += CLOCK_SECOND / 5;
	assert_false(heartbeat_answer(&h));
	assert_int_equal(step(), HEARTBEAT_PING);
	assert_int_equal(clock_now() - pinged, CLOCK_SECOND);
}

static void without_a_process_nothing_is_due(void **state)
{
	(void)state;
	heartbeat_end(&h);
	assert_int_equal(h.due, 0);
	clock_offset += 3600 * CLOCK_SECOND;
	assert_int_equal(heartbeat_step(&h), HEARTBEAT_WAIT);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_process_that_answers_is_asked_once_in_each_period),
	    TEST(before_its_time_nothing_is_to_be_done),
	    TEST(a_process_that_hangs_is_late_once_and_then_lost_within_three_seconds),
	    TEST(a_process_that_starts_has_ten_seconds),
	    TEST(a_late_answer_counts_and_is_called_late),
	    TEST(the_clock_alone_condemns_no_process),
	    TEST(an_answer_to_no_ping_is_nothing),
	    TEST(an_answer_to_no_ping_does_not_shorten_the_time_to_start),
	    TEST(a_slow_answer_does_not_put_the_next_ping_off),
	    TEST(without_a_process_nothing_is_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
