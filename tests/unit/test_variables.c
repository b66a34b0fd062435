/* The variables of a request. */
#include "unit.h"

#include "variables.h"

#include <stdio.h>

static void a_variable_has_the_value_last_set(void **state)
{
	struct variables v = {0};

	(void)state;
	assert_null(variables_get(&v, "A"));
	assert_string_equal(variables_text(&v, "A"), "");
	assert_int_equal(variables_set(&v, "A", "1"), 0);
	assert_int_equal(variables_set(&v, "A", "a=b"), 0);
	assert_string_equal(variables_get(&v, "A"), "a=b");
	assert_int_equal(v.count, 1);
	variables_release(&v);
	assert_int_equal(v.count, 0);
}

static void a_name_is_compared_whole(void **state)
{
	struct variables v = {0};

	(void)state;
	variables_set(&v, "HTTP_HOST", "x");
	assert_null(variables_get(&v, "HTTP"));
	assert_null(variables_get(&v, "HTTP_HOST_2"));
	assert_null(variables_get(&v, "http_host"));
	variables_set(&v, "HTTP", "y");
	variables_remove(&v, "HTTP");
	assert_string_equal(variables_get(&v, "HTTP_HOST"), "x");
	variables_release(&v);
}

static void a_default_replaces_nothing_but_the_empty(void **state)
{
	struct variables v = {0};

	(void)state;
	variables_set(&v, "FULL", "x");
	variables_set(&v, "EMPTY", "");
	assert_int_equal(variables_default(&v, "FULL", "d"), 0);
	assert_int_equal(variables_default(&v, "EMPTY", "d"), 0);
	assert_int_equal(variables_default(&v, "NONE", "d"), 0);
	assert_string_equal(variables_get(&v, "FULL"), "x");
	assert_string_equal(variables_get(&v, "EMPTY"), "d");
	assert_string_equal(variables_get(&v, "NONE"), "d");
	assert_int_equal(v.count, 3);
	variables_release(&v);
}

static void the_array_is_an_environment_however_many_there_are(void **state)
{
	struct variables v = {0};
	char item[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(item, sizeof(item), "N%d=%d", i, i);
		assert_int_equal(variables_add(&v, item), 0);
		assert_null(v.items[v.count]);
	}
	assert_int_equal(v.count, 1000);
	assert_string_equal(v.items[999], "N999=999");
	assert_string_equal(variables_get(&v, "N63"), "63");
	variables_release(&v);
}

static void each_is_found_when_others_are_taken_out(void **state)
{
	struct variables v = {0};
	char name[32], value[32];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), i % 3 == 0 ? "DROP_%d" : "HTTP_X_%d", i);
		snprintf(value, sizeof(value), "%d", i);
		assert_int_equal(variables_set(&v, name, value), 0);
	}
	variables_remove_prefix(&v, "DROP_");
	variables_remove(&v, "HTTP_X_1");
	assert_int_equal(v.count, 199);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), i % 3 == 0 ? "DROP_%d" : "HTTP_X_%d", i);
		snprintf(value, sizeof(value), "%d", i);
		if (i % 3 == 0 || i == 1)
			assert_null(variables_get(&v, name));
		else
			assert_string_equal(variables_get(&v, name), value);
		assert_int_equal(variables_set(&v, name, "new"), 0);
		assert_string_equal(variables_get(&v, name), "new");
	}
	assert_int_equal(v.count, 300);
	variables_release(&v);
}

static void of_two_of_one_name_the_first_is_found(void **state)
{
	struct variables v = {0};
	char item[32];

	(void)state;
	variables_add(&v, "TWICE=first");
	variables_add(&v, "TWICE=second");
	assert_string_equal(variables_get(&v, "TWICE"), "first");
	for (int i = 0; i < 200; i++) {
		snprintf(item, sizeof(item), "N%d=%d", i % 150, i);
		variables_add(&v, item);
	}
	assert_string_equal(variables_get(&v, "N49"), "49");
	assert_string_equal(variables_get(&v, "N149"), "149");
	variables_remove(&v, "TWICE");
	assert_string_equal(variables_get(&v, "TWICE"), "second");
	variables_release(&v);
}

static void a_prefix_removes_all_that_begin_with_it(void **state)
{
	struct variables v = {0};

	(void)state;
	variables_set(&v, "FOSSIL_USER", "ada");
	variables_set(&v, "PATH", "/bin");
	variables_set(&v, "FOSSIL_", "x");
	variables_set(&v, "FOSSIL", "kept");
	variables_set(&v, "FOSSIL_CAPABILITIES", "s");
	variables_remove_prefix(&v, "FOSSIL_");
	assert_int_equal(v.count, 2);
	assert_string_equal(v.items[0], "PATH=/bin");
	assert_string_equal(v.items[1], "FOSSIL=kept");
	assert_null(v.items[2]);
	variables_remove(&v, "NONE");
	assert_int_equal(v.count, 2);
	variables_release(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_variable_has_the_value_last_set),
	    cmocka_unit_test(a_name_is_compared_whole),
	    cmocka_unit_test(a_default_replaces_nothing_but_the_empty),
	    cmocka_unit_test(the_array_is_an_environment_however_many_there_are),
	    cmocka_unit_test(each_is_found_when_others_are_taken_out),
	    cmocka_unit_test(of_two_of_one_name_the_first_is_found),
	    cmocka_unit_test(a_prefix_removes_all_that_begin_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
