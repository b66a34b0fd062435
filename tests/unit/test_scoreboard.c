/* Who has a connection that waits: the worker or its guardian. */
#include "unit.h"

#include "ipc/scoreboard.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define ROUNDS 20000
#define DESCRIPTOR 7

struct pair {
	struct scoreboard_slot *slot;
	atomic_bool closed; /* the worker has had it: the descriptor means nothing any more */
	atomic_int mistakes;
	bool gives; /* whether another worker takes it */
};

/* As the guardian does it; between the two steps the descriptor must stay what it is. */
static void *give(void *argument)
{
	struct pair *p = argument;
	int fd = DESCRIPTOR;

	if (!atomic_compare_exchange_strong(&p->slot->idle[0], &fd, SCOREBOARD_GIVING))
		return NULL;
	for (int i = 0; i < 3; i++) {
		if (atomic_load(&p->closed))
			atomic_fetch_add(&p->mistakes, 1);
		sched_yield();
	}
	atomic_store(&p->slot->idle[0], p->gives ? SCOREBOARD_GIVEN : DESCRIPTOR);
	return NULL;
}

static void the_worker_waits_until_a_connection_is_given(void **state)
{
	struct pair p = {.slot = calloc(1, sizeof(*p.slot))};
	int given = 0, kept = 0;

	(void)state;
	assert_non_null(p.slot);
	for (int i = 0; i < ROUNDS / 20 || (i < ROUNDS && (given == 0 || kept == 0)); i++) {
		pthread_t guardian;
		int was;

		p.gives = i % 2 == 0;
		atomic_store(&p.closed, false);
		atomic_store(&p.slot->idle[0], DESCRIPTOR);
		assert_int_equal(pthread_create(&guardian, NULL, give, &p), 0);
		if (i % 4 < 2)
			sched_yield();
		was = scoreboard_claim(p.slot, 0);
		atomic_store(&p.closed, true);
		assert_true(was == DESCRIPTOR || (p.gives && was == SCOREBOARD_GIVEN));
		given += was == SCOREBOARD_GIVEN;
		kept += was == DESCRIPTOR;
		assert_int_equal(pthread_join(guardian, NULL), 0);
		assert_int_equal(atomic_load(&p.slot->idle[0]), SCOREBOARD_NONE);
	}
	assert_int_equal(atomic_load(&p.mistakes), 0);
	free(p.slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_worker_waits_until_a_connection_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
