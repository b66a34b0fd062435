/* When a load of an app may begin: app_files.c. */
#include "base/clock.h"
#include "worker/app_files.h"

#include "unit.h"

#include <sys/stat.h>
#include <time.h>

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return (int64_t)time.tv_sec * CLOCK_SECOND + time.tv_nsec;
}

/* A file that has changed so many nanoseconds before this moment; never at a whole second. */
static struct stat changed_before(int64_t nanoseconds)
{
	struct stat status = {0};
	int64_t then = now() - nanoseconds;

	status.st_ctim =
	    (struct timespec){.tv_sec = then / CLOCK_SECOND, .tv_nsec = then % CLOCK_SECOND | 1};
	return status;
}

/* It is to be waited for so long, unless this test itself took longer than that. */
static void settles_within(const struct stat *status, int64_t nanoseconds)
{
	int64_t changed = (int64_t)status->st_ctim.tv_sec * CLOCK_SECOND + status->st_ctim.tv_nsec;
	int32_t settle = app_file_settle(status);

	assert_true(settle > 0 || now() >= changed + nanoseconds);
	assert_in_range(settle, 0, nanoseconds / CLOCK_MILLISECOND + 3);
}

static void a_file_that_has_just_changed_settles_within_a_tick(void **state)
{
	struct stat status = changed_before(0);

	(void)state;
	settles_within(&status, 10 * CLOCK_MILLISECOND);
	/* The file seems to change a moment from now: the file system's clock may be ahead. */
	status = changed_before(-2 * CLOCK_MILLISECOND);
	settles_within(&status, 10 * CLOCK_MILLISECOND);
}

static void a_file_that_changed_a_tick_ago_has_settled(void **state)
{
	const struct stat status = changed_before(11 * CLOCK_MILLISECOND);

	(void)state;
	assert_int_equal(app_file_settle(&status), 0);
}

static void a_time_of_whole_seconds_settles_after_two(void **state)
{
	struct stat status = changed_before(0);

	(void)state;
	status.st_ctim.tv_nsec = 0;
	settles_within(&status, 2 * CLOCK_SECOND);
	status.st_ctim.tv_sec -= 3;
	assert_int_equal(app_file_settle(&status), 0);
}

static void a_time_that_is_yet_to_come_is_not_waited_for(void **state)
{
	const struct stat status = changed_before(-3600 * CLOCK_SECOND);

	(void)state;
	assert_int_equal(app_file_settle(&status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_that_has_just_changed_settles_within_a_tick),
	    cmocka_unit_test(a_file_that_changed_a_tick_ago_has_settled),
	    cmocka_unit_test(a_time_of_whole_seconds_settles_after_two),
	    cmocka_unit_test(a_time_that_is_yet_to_come_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
