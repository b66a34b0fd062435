/* A configuration lives as long as it has holders; the last holder frees it. */
#include "unit.h"

#include "base/error.h"
#include "config/config_read.h"
#include "config/config_share.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A configuration with this number as its grace and in its prefix. */
static void make(struct config *config, int number)
{
	char grace[32], prefix[32];
	char *argv[] = {grace, prefix};
	const struct config_source source = {.argc = 2, .argv = argv};
	struct error e;
	int operands;

	snprintf(grace, sizeof(grace), "--grace=%d", number);
	snprintf(prefix, sizeof(prefix), "--prefix=/%d", number);
	assert_int_equal(config_read(config, CONFIG_SERVE, &source, 0, &operands, &e), 0);
}

static void replace(struct config_share *s, int number)
{
	struct config next;

	make(&next, number);
	assert_int_equal(config_share_replace(s, &next), 0);
}

static void assert_is(const struct config *config, int number)
{
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "/%d", number);
	assert_int_equal(config->grace, number);
	assert_string_equal(config->prefix, prefix);
}

/* The share has no end of its own: the front's ends with its process. The last one is given up. */
static void give_up(struct config_share *s)
{
	const struct config *config;
	struct config_held *held = config_hold(s, &config);

	config_let_go(s, held);
	config_let_go(s, held);
	free(s);
}

static void the_first_is_held_and_stays_the_callers(void **state)
{
	struct config first;
	const struct config *config;
	struct config_share *s;
	struct config_held *held;

	(void)state;
	make(&first, 1);
	s = config_share_create(&first);
	held = config_hold(s, &config);
	assert_ptr_equal(config, &first);
	replace(s, 2);
	config_let_go(s, held);
	assert_is(&first, 1);
	config_release(&first);
	give_up(s);
}

static void a_holder_keeps_his_own_however_often_it_is_replaced(void **state)
{
	struct config first;
	const struct config *early, *middle, *late;
	struct config_share *s;
	struct config_held *holders[3];

	(void)state;
	make(&first, 1);
	s = config_share_create(&first);
	replace(s, 2);
	holders[0] = config_hold(s, &early);
	replace(s, 3);
	holders[1] = config_hold(s, &middle);
	replace(s, 4);
	replace(s, 5);
	holders[2] = config_hold(s, &late);
	assert_is(early, 2);
	assert_is(middle, 3);
	assert_is(late, 5);
	config_let_go(s, holders[1]);
	assert_is(early, 2);
	config_let_go(s, holders[0]);
	config_let_go(s, holders[2]);
	give_up(s);
	config_release(&first);
}

static void one_of_two_holders_lets_go_and_the_other_keeps_it(void **state)
{
	struct config first;
	const struct config *one, *two;
	struct config_share *s;
	struct config_held *held_one, *held_two;

	(void)state;
	make(&first, 1);
	s = config_share_create(&first);
	replace(s, 2);
	held_one = config_hold(s, &one);
	held_two = config_hold(s, &two);
	assert_ptr_equal(one, two);
	replace(s, 3);
	config_let_go(s, held_one);
	assert_is(two, 2);
	config_let_go(s, held_two);
	give_up(s);
	config_release(&first);
}

#define HOLDERS 4
#define REPLACES 300

struct trial {
	struct config_share *share;
	atomic_bool done;
};

static void *hold_again_and_again(void *argument)
{
	struct trial *t = argument;
	uint64_t last = 0;

	while (!atomic_load(&t->done)) {
		const struct config *config;
		struct config_held *held = config_hold(t->share, &config);
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "/%d", (int)config->grace);
		if (strcmp(prefix, config->prefix) != 0 || config->grace < last)
			return t;
		last = config->grace;
		config_let_go(t->share, held);
	}
	return NULL;
}

static void threads_see_whole_ones_and_never_an_older_one_again(void **state)
{
	struct trial trial = {0};
	pthread_t threads[HOLDERS];
	struct config first;
	void *failed;

	(void)state;
	make(&first, 1);
	trial.share = config_share_create(&first);
	for (size_t i = 0; i < HOLDERS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, hold_again_and_again, &trial), 0);
	for (int i = 0; i < REPLACES; i++)
		replace(trial.share, i + 2);
	atomic_store(&trial.done, true);
	for (size_t i = 0; i < HOLDERS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	give_up(trial.share);
	config_release(&first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_is_held_and_stays_the_callers),
	    cmocka_unit_test(a_holder_keeps_his_own_however_often_it_is_replaced),
	    cmocka_unit_test(one_of_two_holders_lets_go_and_the_other_keeps_it),
	    cmocka_unit_test(threads_see_whole_ones_and_never_an_older_one_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
