/*
 * Where Python's small objects lie. It takes memory for them in arenas of 1 MiB (256 KiB before
 * Python 3.10), each a mapping of its own. Here several of them share a piece that is as large as a
 * huge page and lies where one can, so that the host can put the template's objects into huge pages.
 */
#include "interpreter/python_internal.h"

#include <stdint.h>
#include <sys/mman.h>

enum { PIECE = PYTHON_PIECE, ARENA_LEAST = 0x40000, RETURNED_MOST = 8 };

static struct {
	char *at; /* what is left of the last piece */
	size_t left;
} piece;

/*
 * Arenas that were given back. They stay part of their piece for the next one: a hole would make the
 * rest of it small pages for good.
 */
static struct {
	char *at[RETURNED_MOST];
	size_t count, size; /* bytes of each: Python's arenas are all alike */
} returned;

static char *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory != MAP_FAILED ? memory : NULL;
}

/* Twice as much, less what is too much. */
void *python_arena_piece(void)
{
	char *memory = map(2 * (size_t)PIECE);
	size_t before;

	if (memory == NULL)
		return NULL;
	before = -(uintptr_t)memory % PIECE;
	if (before > 0)
		munmap(memory, before);
	munmap(memory + before + PIECE, PIECE - before);
	return memory + before;
}

/* Python asks here for other memory too, 16 KiB for frames: it would take an arena's place. */
static bool is_arena(size_t size)
{
	return size >= ARENA_LEAST && size <= PIECE;
}

static void *allocate(void *unused, size_t size)
{
	char *memory;

	(void)unused;
	if (!is_arena(size))
		return map(size);
	if (returned.count > 0 && returned.size == size)
		return returned.at[--returned.count];
	if (piece.left < size) {
		memory = python_arena_piece();
		if (memory == NULL)
			return NULL;
		/* What is left of the last one is not used any more, and never was. */
		if (piece.left > 0)
			munmap(piece.at, piece.left);
		piece.at = memory;
		piece.left = PIECE;
		python_heap_leave(memory);
	}
	memory = piece.at;
	piece.at += size;
	piece.left -= size;
	return memory;
}

static void give_back(void *unused, void *memory, size_t size)
{
	(void)unused;
	if (!is_arena(size) || returned.count == RETURNED_MOST ||
	    (returned.count > 0 && returned.size != size) ||
	    madvise(memory, size, MADV_DONTNEED) < 0) {
		munmap(memory, size);
		return;
	}
	returned.at[returned.count++] = memory;
	returned.size = size;
}

void python_arena_start(void)
{
	PyObjectArenaAllocator allocator = {NULL, allocate, give_back};

	PyObject_SetArenaAllocator(&allocator);
}
