/*
 * What is asked of malloc(3) comes from where something was freed, and when a language has started,
 * such holes are all over its heap. In a request process each of them lies in a page of its own that
 * is shared with the template, and copied when it is written. So the template takes them all.
 *
 * They are found by asking, for large pieces first. When two pieces of a size lie side by side, they
 * are from the end of the heap: a hole with room for both would have been taken as one of the
 * sizes before, which are at most twice as large.
 */
#include "template/heap_fill.h"

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#ifdef __GLIBC__

enum {
	LARGEST = 16384,    /* bytes: a larger hole keeps many allocations together */
	CACHED_MOST = 1032, /* what is freed up to here glibc keeps for the next of its size, */
	CACHED = 7,         /* so many of each */
	STEP = 16,          /* its sizes differ by this */
	MOST = 1048576      /* bytes in holes of one size: beyond that nothing is known */
};

/* The blocks lie side by side but for the size in front of each. */
static bool are_neighbours(char *block, const char *next)
{
	return block != NULL && block + malloc_usable_size(block) + sizeof(size_t) == next;
}

/* false: no end of it was found. Another allocator may stand in the place of glibc's. */
static bool fill(size_t size)
{
	char *volatile last = NULL, *volatile block = NULL;
	bool found = false;

	for (int i = 0; size <= CACHED_MOST && i < CACHED; i++)
		block = malloc(size);
	for (size_t taken = 0; taken < MOST && !found; taken += size) {
		last = block;
		block = malloc(size);
		found = block != NULL && are_neighbours(last, block);
	}
	/* These two go back to the end of the heap; smaller ones would be kept aside. */
	if (found && size > CACHED_MOST) {
		free(block);
		free(last);
	}
	return found;
}

void heap_fill_holes(void)
{
	size_t size = LARGEST;

	for (; size > 2 * CACHED_MOST; size /= 2)
		if (!fill(size))
			return;
	for (; size >= STEP && fill(size - sizeof(size_t)); size -= STEP)
		;
}

#else

void heap_fill_holes(void)
{
}

#endif
