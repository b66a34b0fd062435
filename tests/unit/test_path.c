/* path.h: one slash between a directory and a name, and nothing cut. */
#include "unit.h"

#include "base/path.h"

#include <errno.h>

static void test_one_slash_stands_between(void **state)
{
	char path[64];

	(void)state;
	assert_int_equal(path_join(path, sizeof(path), "/srv/ext", "a/b.py"), 0);
	assert_string_equal(path, "/srv/ext/a/b.py");
	assert_int_equal(path_join(path, sizeof(path), "/", "b.py"), 0);
	assert_string_equal(path, "/b.py");
}

static void test_a_path_that_does_not_fit_is_an_error(void **state)
{
	char path[8];

	(void)state;
	assert_int_equal(path_join(path, sizeof(path), "/abc", "de"), 0);
	assert_int_equal(path_join(path, sizeof(path), "/abc", "def"), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_slash_stands_between),
	    cmocka_unit_test(test_a_path_that_does_not_fit_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
