/* tuning.h: names in EXTHOST_WITHOUT switch parts off, and an unknown name is an error. */
#include "unit.h"

#include "base/error.h"
#include "base/tuning.h"

#include <stdlib.h>

static void test_an_unknown_name_is_an_error(void **state)
{
	struct error e;

	(void)state;
	setenv("EXTHOST_WITHOUT", "spares,spare", 1);
	assert_int_equal(tuning_read(&e), -1);
	assert_string_equal(e.message, "EXTHOST_WITHOUT: there is no part \"spare\"");
}

static void test_only_what_is_named_is_left_out(void **state)
{
	struct error e;

	(void)state;
	setenv("EXTHOST_WITHOUT", "warm,tcl-clock", 1);
	assert_int_equal(tuning_read(&e), 0);
	assert_false(tuning_has(TUNING_WARM));
	assert_false(tuning_has(TUNING_TCL_CLOCK));
	assert_true(tuning_has(TUNING_HUGE_TEXT));
}

static void test_nothing_is_left_out_unasked(void **state)
{
	struct error e;

	(void)state;
	unsetenv("EXTHOST_WITHOUT");
	assert_int_equal(tuning_read(&e), 0);
	for (int part = 0; part < TUNING_PARTS; part++)
		assert_true(tuning_has(part));
}

int main(void)
{
	/* In this order: a part stays left out for the life of the process. */
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_is_left_out_unasked),
	    cmocka_unit_test(test_only_what_is_named_is_left_out),
	    cmocka_unit_test(test_an_unknown_name_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
