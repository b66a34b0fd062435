/* What is kept of requests that have ended. */
#include "unit.h"

#include "run/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLES 1000

static void count(struct stats *s, const char *extension, int status, uint64_t time)
{
	const struct stats_outcome outcome = {
	    .extension = extension, .status = status, .time = time};

	stats_count(s, &outcome);
}

static struct stats_extension find(struct stats *s, const char *name)
{
	struct stats_extension found = {0};
	size_t n;
	struct stats_extension *list = stats_list_extensions(s, &n);

	snprintf(found.name, sizeof(found.name), "none");
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			found = list[i];
	free(list);
	assert_string_equal(found.name, name);
	return found;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void assert_within_a_twelfth(uint64_t told, uint64_t right)
{
	uint64_t off = told > right ? told - right : right - told;

	if (off > right / 12)
		fail_msg(
		    "%llu instead of %llu", (unsigned long long)told, (unsigned long long)right);
}

static void percentiles_are_within_a_twelfth_from_microseconds_to_hours(void **state)
{
	/* Each spreads over a factor of a hundred from here up. */
	static const uint64_t least[] = {8000, 100000, 3000000, 77000000, 1000000000, 200000000000};
	static uint64_t times[SAMPLES];
	struct stats *s = stats_create();
	unsigned short seed[3] = {1, 2, 3};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(least); i++) {
		struct stats_extension told;
		char name[32];

		snprintf(name, sizeof(name), "%zu.py", i);
		for (size_t n = 0; n < SAMPLES; n++) {
			double spread = erand48(seed);

			times[n] = least[i] + (uint64_t)(99.0 * (double)least[i] * spread * spread);
			count(s, name, 200, times[n]);
		}
		qsort(times, SAMPLES, sizeof(times[0]), by_size);
		told = find(s, name);
		assert_within_a_twelfth(told.p50, times[SAMPLES * 50 / 100 - 1]);
		assert_within_a_twelfth(told.p95, times[SAMPLES * 95 / 100 - 1]);
		assert_within_a_twelfth(told.p99, times[SAMPLES * 99 / 100 - 1]);
	}
	stats_destroy(s);
}

static void one_slow_request_in_a_hundred_moves_no_percentile(void **state)
{
	struct stats *s = stats_create();
	struct stats_extension told;

	(void)state;
	for (int i = 0; i < 99; i++)
		count(s, "a.py", 200, 1000000);
	count(s, "a.py", 200, 9000000000);
	told = find(s, "a.py");
	assert_within_a_twelfth(told.p99, 1000000);
	count(s, "a.py", 200, 9000000000);
	assert_within_a_twelfth(find(s, "a.py").p99, 9000000000);
	stats_destroy(s);
}

static void a_time_beyond_all_classes_is_counted_in_the_last(void **state)
{
	struct stats *s = stats_create();

	(void)state;
	count(s, "a.py", 200, UINT64_MAX);
	assert_true(find(s, "a.py").p50 > 60000000000000);
	stats_destroy(s);
}

static void answers_are_counted_by_the_first_digit_of_their_status(void **state)
{
	static const int statuses[] = {200, 204, 302, 404, 404, 499, 500, 0, 99, 600};
	static const uint64_t expected[] = {3, 0, 2, 1, 3, 1};
	struct stats *s = stats_create();
	struct stats_extension told;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(statuses); i++)
		count(s, "a.py", statuses[i], 1000);
	count(s, "b.py", 200, 1000);
	told = find(s, "a.py");
	assert_memory_equal(told.answers, expected, sizeof(expected));
	assert_int_equal(find(s, "b.py").answers[2], 1);
	stats_destroy(s);
}

static void sums_grow_and_the_peak_is_the_largest(void **state)
{
	struct stats *s = stats_create();
	struct stats_outcome outcome = {
	    .extension = "a.py", .status = 200, .time = 5000, .cpu = 7, .peak = 900};
	struct stats_extension told;

	(void)state;
	stats_count(s, &outcome);
	outcome.peak = 300;
	stats_count(s, &outcome);
	told = find(s, "a.py");
	assert_int_equal(told.time, 10000);
	assert_int_equal(told.cpu, 14);
	assert_int_equal(told.peak, 900);
	stats_destroy(s);
}

static void the_last_error_stays_when_all_is_well_again(void **state)
{
	struct stats *s = stats_create();
	struct stats_outcome outcome = {.extension = "a.py", .status = 500, .error = "first"};
	struct stats_extension told;
	time_t before = time(NULL);

	(void)state;
	stats_count(s, &outcome);
	outcome.error = "second";
	stats_count(s, &outcome);
	count(s, "a.py", 200, 1000);
	told = find(s, "a.py");
	assert_string_equal(told.error, "second");
	assert_in_range(told.error_time, before, time(NULL));
	count(s, "b.py", 200, 1000);
	assert_string_equal(find(s, "b.py").error, "");
	stats_destroy(s);
}

static void what_no_extension_answered_is_counted_without_a_name(void **state)
{
	struct stats *s = stats_create();

	(void)state;
	count(s, NULL, 404, 1000);
	assert_int_equal(find(s, "").answers[4], 1);
	stats_destroy(s);
}

static void extensions_beyond_the_table_are_counted_together(void **state)
{
	struct stats *s = stats_create();
	struct stats_extension *list;
	size_t n;

	(void)state;
	for (int i = 0; i < 1100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%d.py", i);
		count(s, name, 200, 1000);
		count(s, name, 404, 1000);
	}
	list = stats_list_extensions(s, &n);
	assert_int_equal(n, 1024);
	assert_string_equal(list[1022].name, "1022.py");
	assert_string_equal(list[1023].name, "*");
	assert_int_equal(list[1023].answers[2], 1100 - 1023);
	assert_int_equal(list[1023].answers[4], 1100 - 1023);
	free(list);
	stats_destroy(s);
}

static void a_name_too_long_is_cut_and_still_one_extension(void **state)
{
	struct stats *s = stats_create();
	char name[1000];
	size_t n;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	count(s, name, 200, 1000);
	count(s, name, 200, 1000);
	free(stats_list_extensions(s, &n));
	assert_int_equal(n, 1);
	stats_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(percentiles_are_within_a_twelfth_from_microseconds_to_hours),
	    cmocka_unit_test(one_slow_request_in_a_hundred_moves_no_percentile),
	    cmocka_unit_test(a_time_beyond_all_classes_is_counted_in_the_last),
	    cmocka_unit_test(answers_are_counted_by_the_first_digit_of_their_status),
	    cmocka_unit_test(sums_grow_and_the_peak_is_the_largest),
	    cmocka_unit_test(the_last_error_stays_when_all_is_well_again),
	    cmocka_unit_test(what_no_extension_answered_is_counted_without_a_name),
	    cmocka_unit_test(extensions_beyond_the_table_are_counted_together),
	    cmocka_unit_test(a_name_too_long_is_cut_and_still_one_extension),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
