/* Bytes that are kept until they are wanted, in memory and beyond it in a file. */
#include "unit.h"

#include "base/error.h"
#include "base/spool.h"

#include <string.h>

/* Takes what spool_each gives, and stops at a size. */
struct sink {
	struct buffer bytes;
	size_t stop_at;
};

static int take(void *user, const void *data, size_t size)
{
	struct sink *sink = user;

	assert_int_equal(buffer_append(&sink->bytes, data, size), 0);
	return sink->stop_at > 0 && sink->bytes.size >= sink->stop_at ? 7 : 0;
}

static void fill(struct spool *s, size_t pieces)
{
	for (size_t i = 0; i < pieces; i++) {
		unsigned char piece[100];

		memset(piece, (int)(i & 0xff), sizeof(piece));
		assert_int_equal(spool_append(s, piece, sizeof(piece), NULL), 0);
	}
	assert_int_equal(s->size, pieces * 100);
}

static void assert_filled(struct spool *s, size_t pieces)
{
	struct sink sink = {.stop_at = 0};

	assert_int_equal(spool_each(s, take, &sink), 0);
	assert_int_equal(sink.bytes.size, pieces * 100);
	for (size_t i = 0; i < sink.bytes.size; i++)
		if ((unsigned char)sink.bytes.data[i] != (i / 100 & 0xff))
			fail_msg("byte %zu is wrong", i);
	buffer_release(&sink.bytes);
}

static void nothing_is_given_when_nothing_was_kept(void **state)
{
	struct spool s;

	(void)state;
	spool_init(&s, 10, "/tmp");
	assert_filled(&s, 0);
	spool_release(&s);
}

static void up_to_the_limit_bytes_stay_in_memory(void **state)
{
	struct spool s;

	(void)state;
	spool_init(&s, 1000, "/nowhere");
	fill(&s, 10);
	assert_int_equal(s.file, -1);
	assert_filled(&s, 10);
	spool_release(&s);
}

static void beyond_the_limit_all_bytes_are_in_a_file(void **state)
{
	struct spool s;

	(void)state;
	spool_init(&s, 1000, "/tmp");
	fill(&s, 2000);
	assert_true(s.file >= 0);
	assert_int_equal(s.memory.capacity, 0);
	assert_filled(&s, 2000);
	/* Again: giving takes nothing away. */
	assert_filled(&s, 2000);
	spool_release(&s);
	assert_int_equal(s.file, -1);
}

static void who_takes_can_stop(void **state)
{
	struct spool s;
	struct sink sink = {.stop_at = 100};

	(void)state;
	spool_init(&s, 0, "/tmp");
	fill(&s, 2000);
	assert_int_equal(spool_each(&s, take, &sink), 7);
	assert_in_range(sink.bytes.size, 100, 199999);
	buffer_release(&sink.bytes);
	spool_release(&s);
}

static void a_folder_that_takes_no_file_is_named(void **state)
{
	struct spool s;
	struct error e;

	(void)state;
	spool_init(&s, 4, "/nowhere");
	assert_int_equal(spool_append(&s, "abcd", 4, &e), 0);
	assert_int_equal(spool_append(&s, "e", 1, &e), -1);
	assert_string_equal(e.message, "temporary file in /nowhere: No such file or directory");
	spool_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_given_when_nothing_was_kept),
	    cmocka_unit_test(up_to_the_limit_bytes_stay_in_memory),
	    cmocka_unit_test(beyond_the_limit_all_bytes_are_in_a_file),
	    cmocka_unit_test(who_takes_can_stop),
	    cmocka_unit_test(a_folder_that_takes_no_file_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
