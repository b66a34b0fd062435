/* The list of what the template loads ahead. */
#include "unit.h"

#include "template/preload.h"

static int make_list(void **state)
{
	static struct preload p;
	struct config_list configured = {0};

	assert_int_equal(config_list_append(&configured, "python:json"), 0);
	assert_int_equal(config_list_append(&configured, "tcl:sqlite3"), 0);
	assert_int_equal(config_list_append(&configured, "python:sqlite3"), 0);
	preload_init(&p, &configured, "python");
	config_list_release(&configured);
	*state = &p;
	return 0;
}

static int release_list(void **state)
{
	preload_release(*state);
	return 0;
}

static void it_begins_with_what_is_configured_for_its_language(void **state)
{
	const struct preload *p = *state;

	assert_int_equal(p->names.count, 2);
	assert_int_equal(p->configured, 2);
	assert_string_equal(p->names.items[0], "python:json");
	assert_string_equal(p->names.items[1], "python:sqlite3");
}

static void a_noticed_name_is_added_once(void **state)
{
	struct preload *p = *state;

	assert_true(preload_add_noticed(p, "python:html"));
	assert_false(preload_add_noticed(p, "python:html"));
	assert_false(preload_add_noticed(p, "python:json"));
	assert_int_equal(p->names.count, 3);
	assert_int_equal(p->configured, 2);
}

static void a_refused_name_never_comes_back(void **state)
{
	struct preload *p = *state;

	preload_add_noticed(p, "python:threads");
	preload_add_noticed(p, "python:html");
	/* The very string that is taken out. */
	preload_refuse(p, p->names.items[2]);
	assert_int_equal(p->names.count, 3);
	assert_string_equal(p->names.items[2], "python:html");
	assert_false(preload_add_noticed(p, "python:threads"));
	preload_refuse(p, "python:json");
	assert_int_equal(p->names.count, 2);
	assert_int_equal(p->configured, 1);
	assert_string_equal(p->names.items[0], "python:sqlite3");
	assert_false(preload_add_noticed(p, "python:json"));
}

static void what_was_noticed_can_be_dropped_and_what_is_configured_stays(void **state)
{
	struct preload *p = *state;

	assert_false(preload_drop_noticed(p));
	preload_add_noticed(p, "python:html");
	preload_add_noticed(p, "python:csv");
	assert_true(preload_drop_noticed(p));
	assert_false(preload_drop_noticed(p));
	assert_int_equal(p->names.count, 2);
	assert_string_equal(p->names.items[0], "python:json");
	assert_string_equal(p->names.items[1], "python:sqlite3");
	/* One of them may have been what the template could not bear. */
	assert_false(preload_add_noticed(p, "python:html"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		it_begins_with_what_is_configured_for_its_language, make_list, release_list),
	    cmocka_unit_test_setup_teardown(a_noticed_name_is_added_once, make_list, release_list),
	    cmocka_unit_test_setup_teardown(
		a_refused_name_never_comes_back, make_list, release_list),
	    cmocka_unit_test_setup_teardown(
		what_was_noticed_can_be_dropped_and_what_is_configured_stays, make_list,
		release_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
