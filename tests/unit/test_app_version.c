/* The state machine of an app's versions, event by event, with no process and no clock. */
#include "pool/app_version.h"

#include "base/clock.h"

#include "unit.h"

#define NOW (1000 * CLOCK_SECOND)
#define SECONDS(n) ((uint64_t)(n)*CLOCK_SECOND)

/* The event of this kind, at NOW, of version 5. */
static struct app_version_event event_of(enum app_version_event_kind kind)
{
	return (struct app_version_event){
	    .kind = kind, .now = NOW, .number = 5, .age = SECONDS(10)};
}

/* Version 5 in this state. */
static struct app_version version_in(enum app_version_state state)
{
	return (struct app_version){.state = state,
	    .number = 5,
	    .refusals = state == APP_VERSION_REFUSED,
	    .retry_at = state == APP_VERSION_REFUSED ? NOW + 1 : 0,
	    .refused_at = state == APP_VERSION_REFUSED ? NOW - 1 : 0};
}

static const struct row {
	const char *name;
	enum app_version_event_kind event;
	enum app_version_state before;
	unsigned number; /* the event's; 0: 5, the present one */
	enum app_version_state after;
	unsigned next; /* the version's number afterwards */
	enum app_version_action action;
} rows[] = {
#define NEW APP_VERSION_NEW
#define LOADED APP_VERSION_LOADED
#define REFUSED APP_VERSION_REFUSED
#define TRIED APP_VERSION_TRIED
#define RETRIED APP_VERSION_RETRIED
    {"changed, new", APP_VERSION_CHANGED, NEW, 0, NEW, 6, APP_VERSION_START},
    {"changed, tried", APP_VERSION_CHANGED, TRIED, 0, NEW, 6, APP_VERSION_START},
    {"changed, loaded", APP_VERSION_CHANGED, LOADED, 0, NEW, 6, APP_VERSION_START},
    {"changed, refused", APP_VERSION_CHANGED, REFUSED, 0, NEW, 6, APP_VERSION_START},
    {"changed, retried", APP_VERSION_CHANGED, RETRIED, 0, NEW, 6, APP_VERSION_START},
    {"changed, older, tried", APP_VERSION_CHANGED, TRIED, 4, TRIED, 5, APP_VERSION_START},
    {"changed, older, loaded", APP_VERSION_CHANGED, LOADED, 4, LOADED, 5, APP_VERSION_START},
    {"changed, older, refused", APP_VERSION_CHANGED, REFUSED, 4, REFUSED, 5, APP_VERSION_GO_ON},
    {"changed, older, retried", APP_VERSION_CHANGED, RETRIED, 4, RETRIED, 5, APP_VERSION_GO_ON},
    {"reset, loaded", APP_VERSION_RESET, LOADED, 0, NEW, 6, APP_VERSION_START},
    {"reset, refused", APP_VERSION_RESET, REFUSED, 0, NEW, 6, APP_VERSION_START},
    {"renewed, loaded", APP_VERSION_RENEWED, LOADED, 0, NEW, 6, APP_VERSION_START},
    {"begun, new", APP_VERSION_BEGUN, NEW, 0, TRIED, 5, APP_VERSION_NOTHING},
    {"begun, loaded", APP_VERSION_BEGUN, LOADED, 0, LOADED, 5, APP_VERSION_NOTHING},
    {"begun, refused", APP_VERSION_BEGUN, REFUSED, 0, RETRIED, 5, APP_VERSION_NOTHING},
    {"ready, tried", APP_VERSION_READY, TRIED, 0, LOADED, 5, APP_VERSION_REPLACE},
    {"ready, retried", APP_VERSION_READY, RETRIED, 0, LOADED, 5, APP_VERSION_REPLACE},
    {"ready, older", APP_VERSION_READY, TRIED, 4, TRIED, 5, APP_VERSION_NOTHING},
    {"failed, tried", APP_VERSION_FAILED, TRIED, 0, REFUSED, 5, APP_VERSION_GO_ON},
    {"failed, retried", APP_VERSION_FAILED, RETRIED, 0, REFUSED, 5, APP_VERSION_GO_ON},
    {"failed, loaded", APP_VERSION_FAILED, LOADED, 0, REFUSED, 5, APP_VERSION_GO_ON},
    {"failed, older", APP_VERSION_FAILED, TRIED, 4, TRIED, 5, APP_VERSION_NOTHING},
    {"failed, older, loaded", APP_VERSION_FAILED, LOADED, 4, LOADED, 5, APP_VERSION_NOTHING},
    {"lost, tried", APP_VERSION_LOST, TRIED, 0, NEW, 5, APP_VERSION_START},
    {"lost, retried", APP_VERSION_LOST, RETRIED, 0, REFUSED, 5, APP_VERSION_START},
    {"lost, loaded", APP_VERSION_LOST, LOADED, 0, LOADED, 5, APP_VERSION_START},
    {"lost, older", APP_VERSION_LOST, TRIED, 4, TRIED, 5, APP_VERSION_NOTHING},
    {"asked, just refused", APP_VERSION_ASKED, REFUSED, 0, REFUSED, 5, APP_VERSION_NOTHING},
    {"asked, retried", APP_VERSION_ASKED, RETRIED, 0, RETRIED, 5, APP_VERSION_NOTHING},
    {"asked, loaded", APP_VERSION_ASKED, LOADED, 0, LOADED, 5, APP_VERSION_NOTHING},
    {"look, refused, too early", APP_VERSION_LOOK, REFUSED, 0, REFUSED, 5, APP_VERSION_NOTHING},
    {"look, new", APP_VERSION_LOOK, NEW, 0, NEW, 5, APP_VERSION_START},
    {"died, loaded", APP_VERSION_DIED, LOADED, 0, LOADED, 5, APP_VERSION_NOTHING},
#undef NEW
#undef LOADED
#undef REFUSED
#undef TRIED
#undef RETRIED
};

static void each_event_in_each_state_leads_where_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		const struct row *row = &rows[i];
		struct app_version v = version_in(row->before);
		struct app_version_event event = event_of(row->event);
		enum app_version_action action;

		if (row->number != 0)
			event.number = row->number;
		action = app_version_step(&v, &event);
		if (v.state != row->after || v.number != row->next || action != row->action)
			fail_msg("%s: state %d, number %u, action %d", row->name, v.state, v.number,
			    action);
	}
}

static void the_first_version_is_new(void **state)
{
	struct app_version v = app_version_first(true);

	(void)state;
	assert_int_equal(v.number, 1);
	assert_int_equal(v.state, APP_VERSION_NEW);
	assert_true(app_version_may_start(&v, NOW));
}

static void a_change_is_loaded_when_its_files_have_settled(void **state)
{
	struct app_version v = version_in(APP_VERSION_LOADED);
	struct app_version_event event = event_of(APP_VERSION_CHANGED);

	(void)state;
	v.keeps_old = true;
	event.settle = 7;
	app_version_step(&v, &event);
	assert_true(v.settled_at == NOW + 7 * CLOCK_MILLISECOND);
	assert_false(v.keeps_old);
	/* A report of a process that belongs to nobody. */
	event.number = v.number;
	event.settle = -7;
	app_version_step(&v, &event);
	assert_true(v.settled_at == NOW);
}

static void after_a_change_that_an_older_worker_finds_no_older_worker_answers(void **state)
{
	struct app_version v = version_in(APP_VERSION_NEW);
	struct app_version_event event = event_of(APP_VERSION_CHANGED);

	(void)state;
	v.keeps_old = true;
	event.number = 4;
	app_version_step(&v, &event);
	assert_false(v.keeps_old);
	assert_int_equal(v.number, 5);
}

static void older_workers_answer_beside_a_new_template_if_they_could_before(void **state)
{
	(void)state;
	for (int keeps = 0; keeps < 2; keeps++) {
		struct app_version v = version_in(APP_VERSION_LOADED);
		struct app_version_event event = event_of(APP_VERSION_RENEWED);

		event.keeps_old = keeps;
		app_version_step(&v, &event);
		assert_int_equal(v.keeps_old, keeps);
	}
}

static void what_a_failed_load_was_is_kept(void **state)
{
	struct app_version v = version_in(APP_VERSION_NEW);
	struct app_version_event event = event_of(APP_VERSION_FAILED);

	(void)state;
	event.status = 504;
	event.tried_at = 77;
	app_version_step(&v, &event);
	assert_true(app_version_is_refused(&v));
	assert_int_equal(v.refused_status, 504);
	assert_int_equal(v.tried_at, 77);
	assert_true(v.refused_at == NOW);
	assert_int_equal(v.failures, 1);
	event.number = 4;
	event.tried_at = 78;
	app_version_step(&v, &event);
	assert_int_equal(v.tried_at, 77);
	assert_int_equal(v.failures, 1);
}

static void a_refused_version_is_retried_later_each_time_up_to_a_minute(void **state)
{
	static const unsigned expected[] = {2, 4, 8, 16, 32, 60, 60, 60};
	struct app_version v = app_version_first(true);
	struct app_version_event event = event_of(APP_VERSION_FAILED);

	(void)state;
	event.number = 1;
	for (size_t i = 0; i < UNIT_COUNT(expected); i++) {
		app_version_step(&v, &event);
		assert_true(v.retry_at == NOW + SECONDS(expected[i]));
	}
	/* A change begins the row again. */
	event.kind = APP_VERSION_CHANGED;
	app_version_step(&v, &event);
	assert_int_equal(v.refusals, 0);
}

static void a_refused_version_is_loaded_again_when_its_time_has_come(void **state)
{
	struct app_version v = version_in(APP_VERSION_REFUSED);
	struct app_version_event event = event_of(APP_VERSION_LOOK);

	(void)state;
	event.now = v.retry_at - 1;
	assert_false(app_version_may_start(&v, event.now));
	event.now = v.retry_at;
	assert_int_equal(app_version_step(&v, &event), APP_VERSION_START);
	assert_true(app_version_may_start(&v, event.now));
	assert_int_equal(v.number, 5);
}

static void a_client_has_a_refused_version_loaded_after_a_quarter_of_a_second(void **state)
{
	struct app_version_event event = event_of(APP_VERSION_ASKED);
	struct app_version v = version_in(APP_VERSION_REFUSED);

	(void)state;
	v.retry_at = NOW + SECONDS(60);
	event.now = v.refused_at + 250 * CLOCK_MILLISECOND;
	assert_int_equal(app_version_step(&v, &event), APP_VERSION_NOTHING);
	assert_false(app_version_may_start(&v, event.now));
	event.now++;
	assert_int_equal(app_version_step(&v, &event), APP_VERSION_START);
	assert_true(app_version_may_start(&v, event.now));
}

static void a_load_that_fails_while_its_files_change_proves_nothing(void **state)
{
	struct app_version v = version_in(APP_VERSION_TRIED);
	struct app_version_event event = event_of(APP_VERSION_FAILED);

	(void)state;
	event.changed = true;
	event.settle = 7;
	assert_int_equal(app_version_step(&v, &event), APP_VERSION_START);
	assert_int_equal(v.state, APP_VERSION_NEW);
	assert_int_equal(v.number, 6);
	assert_int_equal(v.failures, 0);
	assert_true(v.settled_at == NOW + 7 * CLOCK_MILLISECOND);
}

static void an_app_that_changes_its_own_files_while_it_loads_is_refused_in_the_end(void **state)
{
	struct app_version v = version_in(APP_VERSION_TRIED);
	struct app_version_event event = event_of(APP_VERSION_FAILED);
	int loads = 1;

	(void)state;
	event.changed = true;
	for (; app_version_step(&v, &event) == APP_VERSION_START; loads++)
		event.number = v.number;
	assert_int_equal(loads, 8);
	assert_int_equal(v.state, APP_VERSION_REFUSED);
}

static void a_load_that_the_kernel_kills_is_tried_again_with_a_pause_and_refused_in_the_end(
    void **state)
{
	struct app_version v = version_in(APP_VERSION_TRIED);
	struct app_version_event event = event_of(APP_VERSION_LOST);

	(void)state;
	event.killed = true;
	assert_int_equal(app_version_step(&v, &event), APP_VERSION_START);
	assert_int_equal(v.settled_at, 0);
	assert_int_equal(app_version_step(&v, &event), APP_VERSION_START);
	assert_true(v.settled_at == NOW + SECONDS(1));
	assert_int_equal(app_version_step(&v, &event), APP_VERSION_GO_ON);
	assert_int_equal(v.state, APP_VERSION_REFUSED);
}

/* Steps of this event until one is not answered by START. */
static int count_starts(struct app_version *v, struct app_version_event *event)
{
	int starts = 0;

	for (event->number = v->number; app_version_step(v, event) == APP_VERSION_START; starts++)
		event->number = v->number;
	return starts;
}

/* A load that ends like this, or a change of the files. */
static void step_on(struct app_version *v, enum app_version_event_kind kind)
{
	struct app_version_event event = event_of(kind);

	event.number = v->number;
	app_version_step(v, &event);
}

static void what_counts_as_in_a_row_begins_anew_after_a_load_that_proves_something(void **state)
{
	static const enum app_version_event_kind kinds[] = {
	    APP_VERSION_READY, APP_VERSION_FAILED, APP_VERSION_CHANGED};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(kinds); i++) {
		struct app_version v = version_in(APP_VERSION_TRIED);
		struct app_version_event failed = event_of(APP_VERSION_FAILED);
		struct app_version_event killed = event_of(APP_VERSION_LOST);

		failed.changed = killed.killed = true;
		v.unclear = 7;
		v.lost = 2;
		step_on(&v, kinds[i]);
		assert_int_equal(count_starts(&v, &failed), 7);
		v.lost = 2;
		step_on(&v, kinds[i]);
		assert_int_equal(count_starts(&v, &killed), 2);
	}
}

static void after_a_refusal_in_the_end_files_that_change_have_their_loads_again(void **state)
{
	struct app_version v = version_in(APP_VERSION_TRIED);
	struct app_version_event failed = event_of(APP_VERSION_FAILED);
	struct app_version_event killed = event_of(APP_VERSION_LOST);

	(void)state;
	failed.changed = killed.killed = true;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(count_starts(&v, &failed), 7);
		assert_int_equal(count_starts(&v, &killed), 2);
	}
}

static void loads_that_are_lost_with_their_templates_are_never_a_refusal(void **state)
{
	struct app_version v = version_in(APP_VERSION_TRIED);

	(void)state;
	for (int i = 0; i < 20; i++) {
		step_on(&v, APP_VERSION_LOST);
		assert_int_equal(v.state, APP_VERSION_NEW);
		step_on(&v, APP_VERSION_BEGUN);
	}
	assert_int_equal(v.settled_at, 0);
}

static void a_retry_that_is_lost_with_its_template_is_made_at_once(void **state)
{
	struct app_version v = version_in(APP_VERSION_RETRIED);

	(void)state;
	v.retry_at = NOW + SECONDS(60);
	step_on(&v, APP_VERSION_LOST);
	assert_int_equal(v.state, APP_VERSION_REFUSED);
	assert_true(app_version_may_start(&v, NOW));
}

static void with_new_settings_no_older_worker_answers(void **state)
{
	struct app_version v = version_in(APP_VERSION_LOADED);

	(void)state;
	v.keeps_old = true;
	step_on(&v, APP_VERSION_RESET);
	assert_false(v.keeps_old);
}

static void after_two_early_deaths_in_a_row_workers_start_a_second_later(void **state)
{
	struct app_version v = version_in(APP_VERSION_LOADED);
	struct app_version_event event = event_of(APP_VERSION_DIED);

	(void)state;
	event.age = CLOCK_SECOND - 1;
	app_version_step(&v, &event);
	assert_true(app_version_may_start(&v, NOW));
	app_version_step(&v, &event);
	assert_false(app_version_may_start(&v, NOW + CLOCK_SECOND - 1));
	assert_true(app_version_may_start(&v, NOW + CLOCK_SECOND));
	/* A worker that has lived for a second ends the row. */
	event.age = CLOCK_SECOND;
	app_version_step(&v, &event);
	event.age = 0;
	event.now += CLOCK_SECOND;
	app_version_step(&v, &event);
	assert_true(app_version_may_start(&v, event.now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_event_in_each_state_leads_where_the_table_says),
	    cmocka_unit_test(the_first_version_is_new),
	    cmocka_unit_test(a_change_is_loaded_when_its_files_have_settled),
	    cmocka_unit_test(after_a_change_that_an_older_worker_finds_no_older_worker_answers),
	    cmocka_unit_test(older_workers_answer_beside_a_new_template_if_they_could_before),
	    cmocka_unit_test(what_a_failed_load_was_is_kept),
	    cmocka_unit_test(a_refused_version_is_retried_later_each_time_up_to_a_minute),
	    cmocka_unit_test(a_refused_version_is_loaded_again_when_its_time_has_come),
	    cmocka_unit_test(a_client_has_a_refused_version_loaded_after_a_quarter_of_a_second),
	    cmocka_unit_test(a_load_that_fails_while_its_files_change_proves_nothing),
	    cmocka_unit_test(
		an_app_that_changes_its_own_files_while_it_loads_is_refused_in_the_end),
	    cmocka_unit_test(
		a_load_that_the_kernel_kills_is_tried_again_with_a_pause_and_refused_in_the_end),
	    cmocka_unit_test(
		what_counts_as_in_a_row_begins_anew_after_a_load_that_proves_something),
	    cmocka_unit_test(after_a_refusal_in_the_end_files_that_change_have_their_loads_again),
	    cmocka_unit_test(loads_that_are_lost_with_their_templates_are_never_a_refusal),
	    cmocka_unit_test(a_retry_that_is_lost_with_its_template_is_made_at_once),
	    cmocka_unit_test(with_new_settings_no_older_worker_answers),
	    cmocka_unit_test(after_two_early_deaths_in_a_row_workers_start_a_second_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
