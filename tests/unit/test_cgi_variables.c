/* The variables of a request. */
#include "unit.h"

#include "request/cgi_variables.h"

#include <stdio.h>
#include <stdlib.h>

static void a_variable_has_the_value_last_set(void **state)
{
	struct cgi_variables v = {0};

	(void)state;
	assert_null(cgi_variables_get(&v, "A"));
	assert_string_equal(cgi_variables_text(&v, "A"), "");
	assert_int_equal(cgi_variables_set(&v, "A", "1"), 0);
	assert_int_equal(cgi_variables_set(&v, "A", "a=b"), 0);
	assert_string_equal(cgi_variables_get(&v, "A"), "a=b");
	assert_int_equal(v.count, 1);
	cgi_variables_release(&v);
	assert_int_equal(v.count, 0);
}

static void a_name_is_compared_whole(void **state)
{
	struct cgi_variables v = {0};

	(void)state;
	cgi_variables_set(&v, "HTTP_HOST", "x");
	assert_null(cgi_variables_get(&v, "HTTP"));
	assert_null(cgi_variables_get(&v, "HTTP_HOST_2"));
	assert_null(cgi_variables_get(&v, "http_host"));
	cgi_variables_set(&v, "HTTP", "y");
	cgi_variables_remove(&v, "HTTP");
	assert_string_equal(cgi_variables_get(&v, "HTTP_HOST"), "x");
	cgi_variables_release(&v);
}

static void a_default_replaces_nothing_but_the_empty(void **state)
{
	struct cgi_variables v = {0};

	(void)state;
	cgi_variables_set(&v, "FULL", "x");
	cgi_variables_set(&v, "EMPTY", "");
	assert_int_equal(cgi_variables_default(&v, "FULL", "d"), 0);
	assert_int_equal(cgi_variables_default(&v, "EMPTY", "d"), 0);
	assert_int_equal(cgi_variables_default(&v, "NONE", "d"), 0);
	assert_string_equal(cgi_variables_get(&v, "FULL"), "x");
	assert_string_equal(cgi_variables_get(&v, "EMPTY"), "d");
	assert_string_equal(cgi_variables_get(&v, "NONE"), "d");
	assert_int_equal(v.count, 3);
	cgi_variables_release(&v);
}

static void the_array_is_an_environment_however_many_there_are(void **state)
{
	struct cgi_variables v = {0};
	char item[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(item, sizeof(item), "N%d=%d", i, i);
		assert_int_equal(cgi_variables_add(&v, item), 0);
		assert_null(v.items[v.count]);
	}
	assert_int_equal(v.count, 1000);
	assert_string_equal(v.items[999], "N999=999");
	assert_string_equal(cgi_variables_get(&v, "N63"), "63");
	cgi_variables_release(&v);
}

static void each_is_found_when_others_are_taken_out(void **state)
{
	struct cgi_variables v = {0};
	char name[32], value[32];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), i % 3 == 0 ? "DROP_%d" : "HTTP_X_%d", i);
		snprintf(value, sizeof(value), "%d", i);
		assert_int_equal(cgi_variables_set(&v, name, value), 0);
	}
	cgi_variables_remove_prefix(&v, "DROP_");
	cgi_variables_remove(&v, "HTTP_X_1");
	assert_int_equal(v.count, 199);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), i % 3 == 0 ? "DROP_%d" : "HTTP_X_%d", i);
		snprintf(value, sizeof(value), "%d", i);
		if (i % 3 == 0 || i == 1)
			assert_null(cgi_variables_get(&v, name));
		else
			assert_string_equal(cgi_variables_get(&v, name), value);
		assert_int_equal(cgi_variables_set(&v, name, "new"), 0);
		assert_string_equal(cgi_variables_get(&v, name), "new");
	}
	assert_int_equal(v.count, 300);
	cgi_variables_release(&v);
}

static void of_two_of_one_name_the_last_counts_and_is_there_once(void **state)
{
	struct cgi_variables v = {0};
	char item[32], name[32];

	(void)state;
	cgi_variables_add(&v, "TWICE=first");
	cgi_variables_add(&v, "OTHER=x");
	cgi_variables_add(&v, "TWICE=second");
	assert_string_equal(cgi_variables_get(&v, "TWICE"), "second");
	assert_int_equal(v.count, 2);
	assert_string_equal(v.items[0], "TWICE=second");
	assert_null(v.items[2]);
	/* However many there are, and wherever the first one stands. */
	for (int i = 0; i < 1000; i++) {
		snprintf(item, sizeof(item), "N%d=%d", i % 400, i);
		assert_int_equal(cgi_variables_add(&v, item), 0);
	}
	cgi_variables_add(&v, "TWICE=third");
	assert_int_equal(cgi_variables_settle(&v), 0);
	assert_int_equal(v.count, 402);
	assert_null(v.items[402]);
	assert_string_equal(cgi_variables_get(&v, "TWICE"), "third");
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "N%d", i);
		snprintf(item, sizeof(item), "%d", i < 200 ? i + 800 : i + 400);
		assert_string_equal(cgi_variables_get(&v, name), item);
		snprintf(item, sizeof(item), "N%d=%d", i, i < 200 ? i + 800 : i + 400);
		assert_string_equal(v.items[2 + i], item);
	}
	cgi_variables_remove(&v, "N399");
	assert_null(cgi_variables_get(&v, "N399"));
	cgi_variables_release(&v);
}

static void one_in_the_block_is_replaced_as_any_other(void **state)
{
	struct cgi_variables v = {0};
	size_t size = 400 * 8;
	char *block = malloc(size);

	(void)state;
	assert_non_null(block);
	cgi_variables_take_block(&v, block, size);
	for (int i = 0; i < 400; i++) {
		snprintf(block + i * 8, 8, "N%03d=%c", i % 130, 'a' + i / 130);
		assert_int_equal(cgi_variables_take(&v, block + i * 8, 4), 0);
	}
	cgi_variables_add(&v, "N129=own");
	cgi_variables_add(&v, "N000=own");
	assert_int_equal(cgi_variables_settle(&v), 0);
	assert_int_equal(v.count, 130);
	assert_string_equal(cgi_variables_get(&v, "N000"), "own");
	assert_string_equal(cgi_variables_get(&v, "N001"), "d");
	assert_string_equal(cgi_variables_get(&v, "N128"), "c");
	assert_string_equal(cgi_variables_get(&v, "N129"), "own");
	cgi_variables_release(&v);
}

static void a_great_many_settle_too(void **state)
{
	struct cgi_variables v = {0};
	char item[32];

	(void)state;
	for (int i = 0; i < 300000; i++) {
		snprintf(item, sizeof(item), "N%06d=%c", i % 150000, i < 150000 ? 'a' : 'b');
		assert_int_equal(cgi_variables_add(&v, item), 0);
	}
	assert_int_equal(cgi_variables_settle(&v), 0);
	assert_int_equal(v.count, 150000);
	assert_string_equal(v.items[149999], "N149999=b");
	cgi_variables_remove_prefix(&v, "N0");
	assert_int_equal(v.count, 50000);
	assert_string_equal(v.items[0], "N100000=b");
	cgi_variables_release(&v);
}

static void a_name_is_removed_in_any_case(void **state)
{
	struct cgi_variables v = {0};
	char item[32];

	(void)state;
	cgi_variables_add(&v, "HTTP_PROXY=a");
	for (int i = 0; i < 200; i++) {
		snprintf(item, sizeof(item), "N%d=x", i);
		cgi_variables_add(&v, item);
	}
	cgi_variables_add(&v, "http_proxy=b");
	cgi_variables_add(&v, "Http_Proxy=c");
	cgi_variables_add(&v, "HTTP_PROXY_X=kept");
	cgi_variables_remove_any_case(&v, "HTTP_PROXY");
	assert_int_equal(v.count, 201);
	assert_null(cgi_variables_get(&v, "HTTP_PROXY"));
	assert_null(cgi_variables_get(&v, "http_proxy"));
	assert_string_equal(v.items[0], "N0=x");
	assert_string_equal(cgi_variables_get(&v, "N0"), "x");
	assert_string_equal(cgi_variables_get(&v, "N199"), "x");
	assert_string_equal(v.items[200], "HTTP_PROXY_X=kept");
	assert_null(v.items[201]);
	cgi_variables_remove_any_case(&v, "NONE");
	assert_int_equal(v.count, 201);
	cgi_variables_release(&v);
}

static void a_prefix_removes_all_that_begin_with_it(void **state)
{
	struct cgi_variables v = {0};

	(void)state;
	cgi_variables_set(&v, "FOSSIL_USER", "ada");
	cgi_variables_set(&v, "PATH", "/bin");
	cgi_variables_set(&v, "FOSSIL_", "x");
	cgi_variables_set(&v, "FOSSIL", "kept");
	cgi_variables_set(&v, "FOSSIL_CAPABILITIES", "s");
	cgi_variables_remove_prefix(&v, "FOSSIL_");
	assert_int_equal(v.count, 2);
	assert_string_equal(v.items[0], "PATH=/bin");
	assert_string_equal(v.items[1], "FOSSIL=kept");
	assert_null(v.items[2]);
	cgi_variables_remove(&v, "NONE");
	assert_int_equal(v.count, 2);
	cgi_variables_release(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_variable_has_the_value_last_set),
	    cmocka_unit_test(a_name_is_compared_whole),
	    cmocka_unit_test(a_default_replaces_nothing_but_the_empty),
	    cmocka_unit_test(the_array_is_an_environment_however_many_there_are),
	    cmocka_unit_test(each_is_found_when_others_are_taken_out),
	    cmocka_unit_test(of_two_of_one_name_the_last_counts_and_is_there_once),
	    cmocka_unit_test(one_in_the_block_is_replaced_as_any_other),
	    cmocka_unit_test(a_great_many_settle_too),
	    cmocka_unit_test(a_name_is_removed_in_any_case),
	    cmocka_unit_test(a_prefix_removes_all_that_begin_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
