/* When a front is started again after a death. Time is set; no front is started here. */
#include "base/clock.h"
#include "unit.h"

#include "base/fd.h"
#include "base/log.h"
#include "master/front_keeper.h"

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
	front_keeper_init(&k, &log_file);
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
	front_keeper_init(&k, &log_file);
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
	front_keeper_init(&k, &log_file);
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
	front_keeper_init(&k, &log_file);
	k.child.pid = 12345;
	assert_false(front_keeper_child_died(&k, 12346, "exit status 0"));
	assert_int_equal(k.child.pid, 12345);
}

static void before_its_time_none_is_started(void **state)
{
	struct front_keeper k;

	(void)state;
	front_keeper_init(&k, &log_file);
	k.child.due = clock_now() + 60 * CLOCK_SECOND;
	assert_int_equal(front_keeper_work(&k, NULL, NULL, NULL), k.child.due);
	assert_int_equal(k.child.pid, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_that_has_lived_is_replaced_at_once),
	    TEST(each_that_dies_within_a_second_makes_the_wait_longer_up_to_five_seconds),
	    TEST(one_that_lived_makes_the_waits_short_again),
	    TEST(the_death_of_another_child_is_not_the_fronts),
	    TEST(before_its_time_none_is_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
