/* Huge pages for a template's memory: each fork and each end of a process then costs less. */
#ifndef EXTHOST_HUGE_PAGES_H
#define EXTHOST_HUGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; the C library's headers are older */
#endif

/* To be called before the language starts: the heap then grows from a huge page's beginning. */
void huge_pages_align_heap(void);

/*
 * To be called when everything is loaded: put private memory into huge pages wherever a huge page
 * would be at least a quarter full. If the kernel has none to give (before Linux 6.1, or if memory
 * is fragmented), nothing changes.
 */
void huge_pages_gather(void);

/* Put the program's text into huge pages. In the master, before its first fork and thread. */
void huge_pages_move_text(void);

/* The next multiple of size, or the address itself if it is one. */
uintptr_t huge_pages_round_up(uintptr_t address, size_t size);

/* The size of a huge page in bytes: what one page table covers. 0: too large to be of use. */
size_t huge_pages_size(void);

#endif
