/* clock.h: waiting for a time, and times in nanoseconds. */
#include "unit.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>

static void test_nanoseconds_of_a_timespec(void **state)
{
	(void)state;
	assert_int_equal(
	    clock_nanoseconds(&(struct timespec){.tv_sec = 2, .tv_nsec = 3}), 2000000003);
	/* Files can be older than 1970. */
	assert_int_equal(
	    clock_nanoseconds(&(struct timespec){.tv_sec = -1, .tv_nsec = 999999999}), -1);
}

static void test_the_clocks_are_those_of_the_kernel(void **state)
{
	struct timespec monotonic, real;
	uint64_t before = clock_now();
	int64_t before_real = clock_real();

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	clock_gettime(CLOCK_REALTIME, &real);
	assert_true(before <= (uint64_t)clock_nanoseconds(&monotonic));
	assert_true((uint64_t)clock_nanoseconds(&monotonic) <= clock_now());
	assert_true(before_real <= clock_nanoseconds(&real));
}

static void test_what_is_left_is_rounded_up_and_fits_poll(void **state)
{
	(void)state;
	assert_int_equal(clock_left(0), 0);
	assert_int_equal(clock_left(clock_now()), 0);
	assert_int_equal(clock_left(UINT64_MAX), INT_MAX);
	/* Never 0 before its time: poll(2) would be called in a busy loop. */
	assert_in_range(clock_left(clock_now() + 100 * CLOCK_SECOND), 1, 100001);
}

static void test_a_wait_ends_at_its_time_and_not_before(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition;
	uint64_t until = clock_now() + 20 * CLOCK_MILLISECOND;
	int result;

	(void)state;
	clock_condition_init(&condition);
	pthread_mutex_lock(&lock);
	do
		result = clock_wait(&condition, &lock, until);
	while (result == 0); /* it may wake for nothing */
	pthread_mutex_unlock(&lock);
	assert_int_equal(result, ETIMEDOUT);
	assert_true(clock_now() >= until);
	pthread_cond_destroy(&condition);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nanoseconds_of_a_timespec),
	    cmocka_unit_test(test_the_clocks_are_those_of_the_kernel),
	    cmocka_unit_test(test_what_is_left_is_rounded_up_and_fits_poll),
	    cmocka_unit_test(test_a_wait_ends_at_its_time_and_not_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
