/* After the holes are filled, what is allocated lies side by side. */
#include "unit.h"

#include "template/heap_fill.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#define BLOCKS 4000

/* Of many sizes, from a fixed sequence. */
static size_t size_of(unsigned number)
{
	return 1 + (number * 2654435761U >> 8) % (number % 10 == 0 ? 9000 : 900);
}

static void make_holes(void)
{
	static void *blocks[BLOCKS];

	for (unsigned i = 0; i < BLOCKS; i++)
		blocks[i] = malloc(size_of(i));
	for (unsigned i = 0; i < BLOCKS; i += 1 + i % 3)
		free(blocks[i]);
}

/* How many of some blocks lie elsewhere than right behind the one before. */
static int count_gaps(void)
{
	int gaps = 0;
	char *last = malloc(24);

	for (unsigned i = 0; i < 200; i++) {
		char *block = malloc(size_of(7 * i));

		gaps += block != last + malloc_usable_size(last) + sizeof(size_t);
		last = block;
	}
	return gaps;
}

static void what_is_allocated_then_lies_side_by_side(void **state)
{
	(void)state;
	make_holes();
	heap_fill_holes();
	assert_int_equal(count_gaps(), 0);
}

static void without_it_it_does_not(void **state)
{
	(void)state;
	make_holes();
	assert_true(count_gaps() > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_it_it_does_not),
	    cmocka_unit_test(what_is_allocated_then_lies_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
