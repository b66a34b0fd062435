/*
 * A fork copies the page table of all private memory, an entry for each 4 KiB, and counts a
 * reference to each of those pages; the end of the process undoes all of that. Both cost more than
 * the pages that a small script writes. For a huge page one entry is copied. If a part of it is
 * written, it is mapped in small pages after all, but these are still counted together.
 *
 * MADV_COLLAPSE (madvise(2)) makes huge pages at once, and only here: whether other memory gets
 * huge pages is not for the host to decide.
 */
#include "template/huge_pages.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE_MOST 0x400000      /* bytes: a larger huge page would be mostly empty */
#define MAPPING_MOST 0x10000000 /* bytes: a larger mapping is a reserve of addresses, not a heap */
#define PAGES_MOST 4096
#define FULL_ENOUGH 4 /* divides the pages of a huge one: a quarter must be resident */

/* 2 MiB on x86-64, and on AArch64 with pages of 4 KiB. */
size_t huge_pages_size(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = page * (page / sizeof(uint64_t));

	return size <= SIZE_MOST && size / page <= PAGES_MOST ? size : 0;
}

uintptr_t huge_pages_round_up(uintptr_t address, size_t size)
{
	return (address + size - 1) / size * size;
}

/* Move the break to the beginning of a huge page. The allocator notices, and goes on from there. */
static void grow_heap(size_t size)
{
	uintptr_t end = (uintptr_t)sbrk(0);

	(void)!sbrk((intptr_t)(huge_pages_round_up(end, size) - end));
}

void huge_pages_align_heap(void)
{
	size_t size = huge_pages_size();

	if (size > 0)
		grow_heap(size);
}

/* The number of resident pages in this range. */
static size_t count_pages(uintptr_t begin, size_t size)
{
	unsigned char there[PAGES_MOST];
	size_t pages = size / (size_t)sysconf(_SC_PAGESIZE), count = 0;

	if (mincore((void *)begin, size, there) < 0)
		return 0;
	for (size_t i = 0; i < pages; i++)
		count += there[i] & 1;
	return count;
}

static bool is_full_enough(uintptr_t begin, size_t size)
{
	return count_pages(begin, size) * FULL_ENOUGH >=
	       huge_pages_size() / (size_t)sysconf(_SC_PAGESIZE);
}

static void gather(uintptr_t begin, uintptr_t end, size_t size)
{
	for (begin = huge_pages_round_up(begin, size); begin + size <= end; begin += size)
		if (is_full_enough(begin, size))
			madvise((void *)begin, size, MADV_COLLAPSE);
}

/* The heap's last huge page can be made only if all of it belongs to the heap. */
static void complete_heap(size_t size)
{
	uintptr_t end = (uintptr_t)sbrk(0), begin = end / size * size;

	if (is_full_enough(begin, end - begin))
		grow_heap(size);
}

/* Private memory without a file: proc_pid_maps(5). */
void huge_pages_gather(void)
{
	size_t size = huge_pages_size();
	FILE *maps = size > 0 ? fopen("/proc/self/maps", "re") : NULL;
	char line[512], access[8];
	uintptr_t begin, end;
	unsigned long inode;

	if (maps == NULL)
		return;
	complete_heap(size);
	while (fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s %*s %*s %lu", &begin, &end, access,
			&inode) == 4 &&
		    access[1] == 'w' && access[3] == 'p' && inode == 0 &&
		    end - begin <= MAPPING_MOST)
			gather(begin, end, size);
	fclose(maps);
}
