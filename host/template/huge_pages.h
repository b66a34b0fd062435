/* Memory in huge pages, so that each fork and each end of a process costs less. */
#ifndef EXTHOST_HUGE_PAGES_H
#define EXTHOST_HUGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; the C library's headers are older */
#endif

/* Before the language starts: from here on the heap grows from the beginning of a huge page. */
void huge_pages_align_heap(void);

/*
 * When all is loaded: put what is there into huge pages, wherever one would be a quarter full or
 * more. Where the kernel has none to give (before Linux 6.1, or without memory in one piece) nothing
 * changes.
 */
void huge_pages_gather(void);

/* The program's own text, in the master, before it forks and while it has one thread: huge_program.c. */
void huge_pages_move_text(void);

/* Its variables, in a template, when all is loaded and while it has one thread: likewise. */
void huge_pages_move_data(void);

/* Whether so many pages, with what they hold, are enough for a huge one to take their place. */
bool huge_pages_are_worth(size_t pages);

/* The next multiple of size, or the address itself if it is one. */
uintptr_t huge_pages_round_up(uintptr_t address, size_t size);

/* Bytes of a huge page: what one page of a table of pages covers. 0: too much to be of use. */
size_t huge_pages_size(void);

#endif
