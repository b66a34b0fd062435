/* The template's memory in huge pages, so that each fork and each end of a process costs less. */
#ifndef EXTHOST_HUGE_PAGES_H
#define EXTHOST_HUGE_PAGES_H

/* Before the language starts: from here on the heap grows from the beginning of a huge page. */
void huge_pages_align_heap(void);

/*
 * When all is loaded: put what is there into huge pages, wherever one would be half full or more. Where
 * the kernel has none to give (before Linux 6.1, or without memory in one piece) nothing changes.
 */
void huge_pages_gather(void);

#endif
