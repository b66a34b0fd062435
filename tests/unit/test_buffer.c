/* Bytes that grow. */
#include "unit.h"

#include "base/buffer.h"

#include <string.h>

static void an_empty_buffer_is_an_empty_string(void **state)
{
	struct buffer b = {0};

	(void)state;
	assert_int_equal(buffer_append(&b, NULL, 0), 0);
	assert_null(b.data);
	buffer_consume(&b, 0);
	assert_string_equal(buffer_string(&b), "");
	assert_int_equal(b.size, 0);
	buffer_release(&b);
}

static void bytes_stay_in_order_while_it_grows(void **state)
{
	struct buffer b = {0};

	(void)state;
	for (int i = 0; i < 100000; i++) {
		char byte = (char)(i % 251);

		assert_int_equal(buffer_append(&b, &byte, 1), 0);
	}
	assert_int_equal(b.size, 100000);
	for (int i = 0; i < 100000; i++)
		assert_int_equal((unsigned char)b.data[i], i % 251);
	buffer_release(&b);
	assert_null(b.data);
	assert_int_equal(b.size + b.capacity, 0);
}

static void a_string_is_ended_without_being_longer(void **state)
{
	struct buffer b = {0};

	(void)state;
	assert_int_equal(buffer_append_string(&b, "one"), 0);
	assert_string_equal(buffer_string(&b), "one");
	assert_int_equal(buffer_printf(&b, " %d %s", 2, "three"), 0);
	assert_int_equal(b.size, 11);
	assert_string_equal(buffer_string(&b), "one 2 three");
	assert_int_equal(buffer_printf(&b, "%0*d", 5000, 0), 0);
	assert_int_equal(b.size, 5011);
	buffer_release(&b);
}

static void consumed_bytes_are_forgotten(void **state)
{
	struct buffer b = {0};

	(void)state;
	buffer_append_string(&b, "header body");
	buffer_consume(&b, 7);
	assert_string_equal(buffer_string(&b), "body");
	buffer_consume(&b, 4);
	assert_int_equal(b.size, 0);
	buffer_append_string(&b, "again");
	assert_string_equal(buffer_string(&b), "again");
	buffer_release(&b);
}

static void html_is_escaped(void **state)
{
	struct buffer b = {0};
	const char *text = "<a href=\"x\">'&amp;'</a>";

	(void)state;
	assert_int_equal(buffer_append_html(&b, text, strlen(text)), 0);
	assert_string_equal(
	    buffer_string(&b), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;&#39;&lt;/a&gt;");
	buffer_release(&b);
}

static void more_than_there_can_be_is_refused(void **state)
{
	struct buffer b = {0};

	(void)state;
	buffer_append_string(&b, "x");
	assert_int_equal(buffer_reserve(&b, (size_t)-1), -1);
	assert_string_equal(buffer_string(&b), "x");
	buffer_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_empty_buffer_is_an_empty_string),
	    cmocka_unit_test(bytes_stay_in_order_while_it_grows),
	    cmocka_unit_test(a_string_is_ended_without_being_longer),
	    cmocka_unit_test(consumed_bytes_are_forgotten),
	    cmocka_unit_test(html_is_escaped),
	    cmocka_unit_test(more_than_there_can_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
