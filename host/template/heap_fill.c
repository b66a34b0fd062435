/*
 * malloc(3) fills holes that free(3) has left, and a language leaves such holes all over its heap
 * when it starts. In a request process each of them lies in a page of its own that is shared with
 * the template, and copied when it is written. So the template allocates all of them.
 *
 * The holes are found by allocating, large blocks first. When two blocks of one size lie side by
 * side, they are from the end of the heap: a hole with room for both would have been filled by one
 * of the sizes before, which are at most twice as large.
 */
#include "template/heap_fill.h"

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#ifdef __GLIBC__

enum {
	LARGEST = 16384,    /* bytes: a larger hole keeps many allocations together */
	CACHED_MOST = 1032, /* bytes: glibc caches freed blocks up to this size */
	CACHED = 7,         /* freed blocks that glibc caches of each size */
	STEP = 16,          /* bytes between two sizes of glibc's */
	MOST = 1048576      /* bytes in holes of one size: more are not looked for */
};

/* Side by side, except for the size that glibc keeps in front of each block. */
static bool are_neighbours(char *block, const char *next)
{
	return block != NULL && block + malloc_usable_size(block) + sizeof(size_t) == next;
}

/* Fill the holes of one size. false: no end of the heap was found (is it another allocator?). */
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
	/* These two return to the end of the heap. Smaller blocks would stay in the cache. */
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
