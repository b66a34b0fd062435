/* Many threads at once, each in a lane and out again and again; the sanitizers watch. */
#include "base/clock.h"
#include "unit.h"

#include "front/lanes.h"

#include <pthread.h>
#include <stdatomic.h>

#define CROWD 12
#define ROUNDS 300

struct crowd {
	struct lanes *lanes;
	struct lanes_limits limits;
	atomic_int all, of[3]; /* in a run at this moment */
	atomic_int most_all, most_of;
	atomic_int next;
};

static void note_most(atomic_int *most, int value)
{
	int seen = atomic_load(most);

	while (value > seen && !atomic_compare_exchange_weak(most, &seen, value))
		;
}

static void *throng(void *argument)
{
	static const char *const names[] = {"a.py", "b.py", "c.py"};
	struct crowd *crowd = argument;
	int self = atomic_fetch_add(&crowd->next, 1);

	for (int i = 0; i < ROUNDS; i++) {
		int n = (self + i) % 3;
		struct lane *lane;

		if (lanes_enter(crowd->lanes, names[n], &crowd->limits, -1, &lane) != LANES_GO)
			return crowd;
		note_most(&crowd->most_all, atomic_fetch_add(&crowd->all, 1) + 1);
		note_most(&crowd->most_of, atomic_fetch_add(&crowd->of[n], 1) + 1);
		atomic_fetch_sub(&crowd->of[n], 1);
		atomic_fetch_sub(&crowd->all, 1);
		lanes_leave(crowd->lanes, lane, crowd->limits.concurrency);
	}
	return NULL;
}

static void a_crowd_keeps_to_the_limits_and_all_of_it_gets_through(void **state)
{
	struct crowd crowd = {.lanes = lanes_create(),
	    .limits = {.lane = 2, .concurrency = 4, .queue = CROWD, .timeout = 60 * CLOCK_SECOND}};
	pthread_t threads[CROWD];
	size_t running, waiting;
	void *failed;

	(void)state;
	for (size_t i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, throng, &crowd), 0);
	for (size_t i = 0; i < CROWD; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_in_range(atomic_load(&crowd.most_all), 1, 4);
	assert_in_range(atomic_load(&crowd.most_of), 1, 2);
	lanes_count(crowd.lanes, &running, &waiting);
	assert_int_equal(running, 0);
	assert_int_equal(waiting, 0);
	lanes_destroy(crowd.lanes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_crowd_keeps_to_the_limits_and_all_of_it_gets_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
