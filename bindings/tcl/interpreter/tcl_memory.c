/*
 * Where the memory that a run allocates lies.
 *
 * Tcl keeps freed memory in lists, one for each size of block and one for Tcl_Obj, and hands it out
 * again, last in first out. After the start these blocks lie all over its memory. In a request
 * process each lies in a page that is shared with the template, and that the kernel copies when it
 * is written. So the template allocates what is in the lists, for good, until the blocks that it
 * gets lie side by side.
 *
 * From the largest size down, since Tcl cuts up larger blocks when a list is empty: the rest of one
 * size then supplies the next, and all of it lies in a few pages.
 */
#include "interpreter/tcl_memory.h"
#include "interpreter/tcl_include.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	HEAD = 16,      /* bytes that Tcl puts in front of a block */
	LEAST = 32,     /* the smallest block with its head; each next size is twice as large */
	LARGEST = 1024, /* too few larger blocks fit into the 16 KiB that Tcl allocates at a time */
	TOGETHER = 8,   /* so many blocks side by side are no accident */
	MOST = 1 << 20  /* bytes to take of one size before giving up */
};

static void *take_object(size_t size)
{
	(void)size;
	return Tcl_NewObj();
}

static void give_object(void *object)
{
	Tcl_DecrRefCount((Tcl_Obj *)object);
}

static void *take_block(size_t size)
{
	return ckalloc((unsigned)(size - HEAD));
}

static void give_block(void *block)
{
	ckfree(block);
}

static bool are_neighbours(const void *one, const void *other, size_t size)
{
	return (uintptr_t)one - (uintptr_t)other == size ||
	       (uintptr_t)other - (uintptr_t)one == size;
}

/* Take pieces of this size until the last ones lie side by side, and give those back. */
static void empty_list(size_t size, void *(*take)(size_t size), void (*give)(void *piece))
{
	void *row[TOGETHER];
	size_t count = 0;

	for (size_t taken = 0; taken < MOST && count < TOGETHER; taken += size) {
		void *piece = take(size);

		if (count > 0 && !are_neighbours(piece, row[count - 1], size))
			count = 0;
		row[count++] = piece;
	}
	while (count > 0)
		give(row[--count]);
}

void tcl_memory_settle(void)
{
	for (size_t size = LARGEST; size >= LEAST; size /= 2)
		empty_list(size, take_block, give_block);
	empty_list(sizeof(Tcl_Obj), take_object, give_object);
}
