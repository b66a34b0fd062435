/* Where the memory that a run allocates lies. */
#ifndef EXTHOST_TCL_MEMORY_H
#define EXTHOST_TCL_MEMORY_H

/* In the template, when all is loaded: make Tcl's allocator hand out memory that lies together. */
void tcl_memory_settle(void);

#endif
