/* Fill the holes in a template's heap, so that a request process allocates from few pages. */
#ifndef EXTHOST_HEAP_FILL_H
#define EXTHOST_HEAP_FILL_H

/*
 * To be called when everything is loaded: allocate every hole in the C library's heap, for good.
 * Later allocations come from its end, one after the other. Does nothing with another C library
 * than glibc.
 */
void heap_fill_holes(void);

#endif
