/* What an app's workers are counted as, and which of them may answer: pool_app.c. */
#include "pool/pool_app.h"

#include "pool/pool_sockets.h"
#include "pool/pool_worker.h"

#include "unit.h"

/* An app at version 5, with these workers. */
static struct app app_with(struct app_worker_entry *workers, size_t count)
{
	for (size_t i = 0; i + 1 < count; i++)
		workers[i].next = &workers[i + 1];
	return (struct app){.version.number = 5, .workers = count > 0 ? workers : NULL};
}

static void workers_of_the_present_version_and_those_that_start_count(void **state)
{
	struct app_worker_entry workers[] = {{.state = APP_LOADS, .version = 5},
	    {.state = APP_LOADS, .version = 4}, {.state = APP_IDLE, .version = 5},
	    {.state = APP_BUSY, .version = 4}, {.state = APP_SERVES, .version = 5},
	    {.state = APP_LEAVES, .version = 5}};
	struct app a = app_with(workers, UNIT_COUNT(workers));

	(void)state;
	assert_int_equal(app_count(&a), 3);
	assert_int_equal(app_count_loading(&a), 1);
	assert_int_equal(app_count_loaded(&a), 2);
	a.starting = 2;
	assert_int_equal(app_count(&a), 5);
	assert_int_equal(app_count_loading(&a), 3);
	assert_int_equal(app_count_loaded(&a), 2);
}

static void an_older_worker_answers_beside_a_new_template_and_for_a_refused_version(void **state)
{
	static const struct {
		unsigned version; /* the worker's */
		enum app_version_state state;
		bool keeps_old, strict, answers;
	} cases[] = {
	    {4, APP_VERSION_NEW, false, false, false},
	    {4, APP_VERSION_TRIED, true, false, true},
	    {4, APP_VERSION_TRIED, true, true, true},
	    {4, APP_VERSION_REFUSED, false, false, true},
	    {4, APP_VERSION_RETRIED, false, false, true},
	    {4, APP_VERSION_REFUSED, false, true, false},
	    {5, APP_VERSION_REFUSED, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct app_worker_entry w = {.state = APP_IDLE, .version = cases[i].version};
		struct app a = app_with(&w, 1);

		a.version.state = cases[i].state;
		a.version.keeps_old = cases[i].keeps_old;
		a.settings.strict = cases[i].strict;
		if (app_old_will_do(&a) != cases[i].answers)
			fail_msg("case %zu", i);
	}
}

/* Only a worker whose files have changed, and that was to be replaced, may not. */
static void a_new_template_lets_the_workers_answer_that_could_before(void **state)
{
	static const struct {
		size_t workers;
		unsigned version; /* the worker's */
		enum app_version_state state;
		bool keeps_old, answers;
	} cases[] = {
	    {1, 5, APP_VERSION_LOADED, false, true},
	    {1, 4, APP_VERSION_REFUSED, false, true},
	    {1, 4, APP_VERSION_RETRIED, false, true},
	    {1, 4, APP_VERSION_TRIED, true, true},
	    {0, 0, APP_VERSION_NEW, false, true},
	    {1, 4, APP_VERSION_NEW, false, false},
	    {1, 4, APP_VERSION_TRIED, false, false},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct app_worker_entry w = {.state = APP_IDLE, .version = cases[i].version};
		struct app a = app_with(&w, cases[i].workers);

		a.version.state = cases[i].state;
		a.version.keeps_old = cases[i].keeps_old;
		app_renew(&a);
		assert_int_equal(a.version.number, 6);
		if (a.version.keeps_old != cases[i].answers)
			fail_msg("case %zu", i);
	}
}

static void while_the_sockets_of_apps_close_only_their_workers_end(void **state)
{
	struct app_sockets sockets = {.number = 1};
	struct app of_front = {0}, direct = {.sockets = &sockets};
	struct app_pool p = {0};

	(void)state;
	assert_false(app_is_ending(&p, &of_front) || app_is_ending(&p, &direct));
	p.serving_ends = true;
	assert_false(app_is_ending(&p, &of_front));
	assert_true(app_is_ending(&p, &direct));
	p.stopping = true;
	assert_true(app_is_ending(&p, &of_front) && app_is_ending(&p, &direct));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(workers_of_the_present_version_and_those_that_start_count),
	    cmocka_unit_test(
		an_older_worker_answers_beside_a_new_template_and_for_a_refused_version),
	    cmocka_unit_test(a_new_template_lets_the_workers_answer_that_could_before),
	    cmocka_unit_test(while_the_sockets_of_apps_close_only_their_workers_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
