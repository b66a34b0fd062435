/* The heap of a template, so that what a request process allocates lies together. */
#ifndef EXTHOST_HEAP_FILL_H
#define EXTHOST_HEAP_FILL_H

/*
 * When all is loaded: take every hole of the C library's heap, for good. Later allocations come from
 * its end, one behind the other. Other C libraries than glibc are left alone.
 */
void heap_fill_holes(void);

#endif
