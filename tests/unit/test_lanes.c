/* Which requests may run, which wait, and which goes next. Each waiting request is a thread. */
#include "base/clock.h"
#include "unit.h"

#include "front/lanes.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE 10000 /* milliseconds */

static const struct lanes_limits wide = {
    .lane = 100, .concurrency = 100, .queue = 100, .timeout = 60 * CLOCK_SECOND};

/* A request that may have to wait. */
struct visitor {
	struct lanes *lanes;
	const char *extension;
	struct lanes_limits limits;
	int client;
	pthread_t thread;
	enum lanes_verdict verdict;
	struct lane *lane;
	atomic_bool told; /* the verdict */
};

static void *visit(void *argument)
{
	struct visitor *v = argument;

	v->verdict = lanes_enter(v->lanes, v->extension, &v->limits, v->client, &v->lane);
	atomic_store(&v->told, true);
	return NULL;
}

static size_t count_waiting(struct lanes *l)
{
	size_t running, waiting;

	lanes_count(l, &running, &waiting);
	return waiting;
}

static size_t count_running(struct lanes *l)
{
	size_t running, waiting;

	lanes_count(l, &running, &waiting);
	return running;
}

/* A visitor comes, and waits in the queue behind all others. */
static void come_and_wait(struct visitor *v, struct lanes *l, const char *extension,
    const struct lanes_limits *limits, int client)
{
	size_t before = count_waiting(l);

	*v = (struct visitor){
	    .lanes = l, .extension = extension, .limits = *limits, .client = client};
	assert_int_equal(pthread_create(&v->thread, NULL, visit, v), 0);
	for (int i = 0; count_waiting(l) == before; i++) {
		assert_in_range(i, 0, PATIENCE);
		poll(NULL, 0, 1);
	}
}

/* Wait for the visitor's verdict, which must be there or due. */
static enum lanes_verdict hear(struct visitor *v)
{
	assert_int_equal(pthread_join(v->thread, NULL), 0);
	/* Without a place there is nothing to give back. */
	assert_true((v->lane != NULL) == (v->verdict == LANES_GO));
	return v->verdict;
}

static struct lane *go(struct lanes *l, const char *extension, const struct lanes_limits *limits)
{
	struct lane *lane = NULL;

	assert_int_equal(lanes_enter(l, extension, limits, -1, &lane), LANES_GO);
	assert_non_null(lane);
	return lane;
}

static void whoever_finds_room_goes_at_once(void **state)
{
	struct lanes *l = lanes_create();
	struct lane *first = go(l, "a.py", &wide), *second = go(l, "a.py", &wide);
	struct lane *other = go(l, "b.py", &wide);

	(void)state;
	assert_ptr_equal(first, second);
	assert_ptr_not_equal(first, other);
	assert_int_equal(count_running(l), 3);
	assert_int_equal(count_waiting(l), 0);
	lanes_leave(l, first, wide.concurrency);
	lanes_leave(l, second, wide.concurrency);
	lanes_leave(l, other, wide.concurrency);
	assert_int_equal(count_running(l), 0);
	lanes_destroy(l);
}

static void a_full_lane_holds_up_its_own_extension_alone(void **state)
{
	struct lanes_limits limits = wide;
	struct lanes *l = lanes_create();
	struct visitor second;
	struct lane *first, *other;

	(void)state;
	limits.lane = 1;
	first = go(l, "a.py", &limits);
	come_and_wait(&second, l, "a.py", &limits, -1);
	other = go(l, "b.py", &limits);
	assert_false(atomic_load(&second.told));
	lanes_leave(l, other, limits.concurrency);
	assert_int_equal(count_waiting(l), 1);
	lanes_leave(l, first, limits.concurrency);
	assert_int_equal(hear(&second), LANES_GO);
	lanes_leave(l, second.lane, limits.concurrency);
	lanes_destroy(l);
}

static void all_extensions_together_stay_within_the_concurrency(void **state)
{
	struct lanes_limits limits = wide;
	struct lanes *l = lanes_create();
	struct visitor third;
	struct lane *first, *second;

	(void)state;
	limits.concurrency = 2;
	first = go(l, "a.py", &limits);
	second = go(l, "b.py", &limits);
	come_and_wait(&third, l, "c.py", &limits, -1);
	lanes_leave(l, first, limits.concurrency);
	assert_int_equal(hear(&third), LANES_GO);
	assert_int_equal(count_running(l), 2);
	lanes_leave(l, second, limits.concurrency);
	lanes_leave(l, third.lane, limits.concurrency);
	lanes_destroy(l);
}

static void those_who_may_go_go_in_the_order_they_came(void **state)
{
	struct lanes_limits limits = wide;
	struct lanes *l = lanes_create();
	struct visitor visitors[5];
	struct lane *lane;

	(void)state;
	limits.concurrency = 1;
	lane = go(l, "a.py", &limits);
	for (size_t i = 0; i < UNIT_COUNT(visitors); i++)
		come_and_wait(&visitors[i], l, i % 2 == 0 ? "a.py" : "b.py", &limits, -1);
	for (size_t i = 0; i < UNIT_COUNT(visitors); i++) {
		lanes_leave(l, lane, limits.concurrency);
		assert_int_equal(hear(&visitors[i]), LANES_GO);
		assert_int_equal(count_waiting(l), UNIT_COUNT(visitors) - 1 - i);
		lane = visitors[i].lane;
	}
	lanes_leave(l, lane, limits.concurrency);
	lanes_destroy(l);
}

static void a_wider_limit_lets_those_go_first_who_wait_already(void **state)
{
	struct lanes_limits narrow = wide;
	struct lanes *l = lanes_create();
	struct visitor early[2];
	struct lane *first, *late;

	(void)state;
	narrow.lane = 1;
	first = go(l, "a.py", &narrow);
	for (size_t i = 0; i < 2; i++)
		come_and_wait(&early[i], l, "a.py", &narrow, -1);
	late = go(l, "a.py", &wide);
	assert_int_equal(count_running(l), 4);
	assert_int_equal(hear(&early[0]), LANES_GO);
	assert_int_equal(hear(&early[1]), LANES_GO);
	lanes_leave(l, first, wide.concurrency);
	lanes_leave(l, late, wide.concurrency);
	for (size_t i = 0; i < 2; i++)
		lanes_leave(l, early[i].lane, wide.concurrency);
	lanes_destroy(l);
}

static void nobody_who_comes_with_a_wider_limit_passes_one_who_waits(void **state)
{
	struct lanes_limits narrow = wide, wider = wide;
	struct lanes *l = lanes_create();
	struct visitor early[2], late;
	struct lane *first;

	(void)state;
	narrow.lane = 1;
	wider.lane = 2;
	first = go(l, "a.py", &narrow);
	for (size_t i = 0; i < 2; i++)
		come_and_wait(&early[i], l, "a.py", &narrow, -1);
	/* It makes room for one, which is not itself: as many wait as before. */
	late = (struct visitor){.lanes = l, .extension = "a.py", .limits = wider, .client = -1};
	assert_int_equal(pthread_create(&late.thread, NULL, visit, &late), 0);
	assert_int_equal(hear(&early[0]), LANES_GO);
	lanes_leave(l, first, wide.concurrency);
	assert_int_equal(hear(&early[1]), LANES_GO);
	lanes_leave(l, early[0].lane, wide.concurrency);
	assert_int_equal(hear(&late), LANES_GO);
	lanes_leave(l, early[1].lane, wide.concurrency);
	lanes_leave(l, late.lane, wide.concurrency);
	lanes_destroy(l);
}

static void more_concurrency_lets_those_go_first_who_wait_already(void **state)
{
	struct lanes_limits narrow = wide;
	struct lanes *l = lanes_create();
	struct visitor early;
	struct lane *first, *late;

	(void)state;
	narrow.concurrency = 1;
	first = go(l, "a.py", &narrow);
	come_and_wait(&early, l, "b.py", &narrow, -1);
	late = go(l, "c.py", &wide);
	assert_int_equal(hear(&early), LANES_GO);
	lanes_leave(l, first, wide.concurrency);
	lanes_leave(l, early.lane, wide.concurrency);
	lanes_leave(l, late, wide.concurrency);
	lanes_destroy(l);
}

static void whoever_leaves_wakes_exactly_those_who_may_go(void **state)
{
	static const char *const names[] = {"a.py", "a.py", "b.py", "c.py", "d.py"};
	struct lanes_limits limits = wide;
	struct lanes *l = lanes_create();
	struct visitor visitors[UNIT_COUNT(names)];

	(void)state;
	limits.lane = 1;
	limits.concurrency = 1;
	struct lane *first = go(l, "x.py", &limits);
	for (size_t i = 0; i < UNIT_COUNT(names); i++)
		come_and_wait(&visitors[i], l, names[i], &limits, -1);
	/* There is room for three now, of which a.py may have one. */
	lanes_leave(l, first, 3);
	assert_int_equal(count_running(l), 3);
	assert_int_equal(count_waiting(l), 2);
	assert_int_equal(hear(&visitors[0]), LANES_GO);
	assert_int_equal(hear(&visitors[2]), LANES_GO);
	assert_int_equal(hear(&visitors[3]), LANES_GO);
	assert_false(atomic_load(&visitors[1].told));
	assert_false(atomic_load(&visitors[4].told));
	/* One of three runs ends, but the new limit is one: no visitor may go. */
	lanes_leave(l, visitors[2].lane, 1);
	assert_int_equal(count_waiting(l), 2);
	lanes_leave(l, visitors[3].lane, 1);
	assert_int_equal(count_waiting(l), 2);
	lanes_leave(l, visitors[0].lane, 1);
	assert_int_equal(hear(&visitors[1]), LANES_GO);
	lanes_leave(l, visitors[1].lane, 1);
	assert_int_equal(hear(&visitors[4]), LANES_GO);
	lanes_leave(l, visitors[4].lane, 1);
	assert_int_equal(count_running(l), 0);
	lanes_destroy(l);
}

static void a_full_queue_refuses_at_once(void **state)
{
	struct lanes_limits limits = wide;
	struct lanes *l = lanes_create();
	struct lane *first, *lane;
	struct visitor second;

	(void)state;
	limits.concurrency = 1;
	limits.queue = 0;
	first = go(l, "a.py", &limits);
	assert_int_equal(lanes_enter(l, "a.py", &limits, -1, &lane), LANES_FULL);
	assert_int_equal(lanes_enter(l, "b.py", &limits, -1, &lane), LANES_FULL);
	limits.queue = 1;
	come_and_wait(&second, l, "b.py", &limits, -1);
	assert_int_equal(lanes_enter(l, "c.py", &limits, -1, &lane), LANES_FULL);
	assert_null(lane);
	lanes_leave(l, first, limits.concurrency);
	assert_int_equal(hear(&second), LANES_GO);
	lanes_leave(l, second.lane, limits.concurrency);
	lanes_destroy(l);
}

static void whoever_waited_too_long_is_late_and_out_of_the_queue(void **state)
{
	struct lanes_limits limits = wide;
	struct lanes *l = lanes_create();
	struct lane *first, *lane;

	(void)state;
	limits.lane = 1;
	limits.timeout = CLOCK_SECOND / 20;
	first = go(l, "a.py", &limits);
	assert_int_equal(lanes_enter(l, "a.py", &limits, -1, &lane), LANES_LATE);
	assert_int_equal(count_waiting(l), 0);
	assert_int_equal(count_running(l), 1);
	lanes_leave(l, first, limits.concurrency);
	lanes_leave(l, go(l, "a.py", &limits), limits.concurrency);
	lanes_destroy(l);
}

static void a_client_that_goes_away_leaves_the_queue_and_the_next_moves_up(void **state)
{
	struct lanes_limits limits = wide;
	struct lanes *l = lanes_create();
	struct visitor leaver, stayer;
	struct lane *first;
	int ends[2], other[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
	limits.lane = 1;
	first = go(l, "a.py", &limits);
	come_and_wait(&leaver, l, "a.py", &limits, ends[0]);
	come_and_wait(&stayer, l, "a.py", &limits, other[0]);
	close(ends[1]);
	assert_int_equal(hear(&leaver), LANES_GONE);
	assert_int_equal(count_waiting(l), 1);
	assert_false(atomic_load(&stayer.told));
	lanes_leave(l, first, limits.concurrency);
	assert_int_equal(hear(&stayer), LANES_GO);
	lanes_leave(l, stayer.lane, limits.concurrency);
	close(ends[0]);
	close(other[0]);
	close(other[1]);
	lanes_destroy(l);
}

static void runs_that_wait_for_their_process_hold_no_place_of_another_language(void **state)
{
	struct lanes_limits first = wide, second = wide;
	struct lanes *l = lanes_create();
	struct lane *a[2], *b[2];
	struct visitor third, next;

	(void)state;
	first.concurrency = second.concurrency = 2;
	second.language = 1;
	for (int i = 0; i < 2; i++)
		a[i] = go(l, "a.py", &first);
	come_and_wait(&next, l, "b.tcl", &second, -1);
	lanes_process_waits(l, 0, true);
	assert_int_equal(hear(&next), LANES_GO);
	lanes_process_waits(l, 0, true);
	b[0] = next.lane;
	b[1] = go(l, "b.tcl", &second);
	/* Of either language there are no more than before. */
	come_and_wait(&third, l, "c.tcl", &second, -1);
	come_and_wait(&next, l, "a.py", &first, -1);
	/* They have got their processes: four runs, until two have ended. */
	lanes_process_waits(l, 0, false);
	lanes_process_waits(l, 0, false);
	assert_int_equal(count_running(l), 4);
	lanes_leave(l, b[0], 2);
	lanes_leave(l, b[1], 2);
	assert_int_equal(count_waiting(l), 2);
	lanes_leave(l, a[0], 2);
	assert_int_equal(hear(&third), LANES_GO);
	assert_int_equal(count_waiting(l), 1);
	lanes_leave(l, third.lane, 2);
	assert_int_equal(hear(&next), LANES_GO);
	lanes_leave(l, a[1], 2);
	lanes_leave(l, next.lane, 2);
	assert_int_equal(count_running(l), 0);
	lanes_destroy(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whoever_finds_room_goes_at_once),
	    cmocka_unit_test(a_full_lane_holds_up_its_own_extension_alone),
	    cmocka_unit_test(all_extensions_together_stay_within_the_concurrency),
	    cmocka_unit_test(those_who_may_go_go_in_the_order_they_came),
	    cmocka_unit_test(a_wider_limit_lets_those_go_first_who_wait_already),
	    cmocka_unit_test(nobody_who_comes_with_a_wider_limit_passes_one_who_waits),
	    cmocka_unit_test(more_concurrency_lets_those_go_first_who_wait_already),
	    cmocka_unit_test(whoever_leaves_wakes_exactly_those_who_may_go),
	    cmocka_unit_test(a_full_queue_refuses_at_once),
	    cmocka_unit_test(whoever_waited_too_long_is_late_and_out_of_the_queue),
	    cmocka_unit_test(a_client_that_goes_away_leaves_the_queue_and_the_next_moves_up),
	    cmocka_unit_test(runs_that_wait_for_their_process_hold_no_place_of_another_language),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
