/* The memory of Python's small objects. */
#ifndef EXTHOST_PYTHON_MEMORY_H
#define EXTHOST_PYTHON_MEMORY_H

/* Before the interpreter is initialized: install the allocator of arenas. */
void python_memory_start(void);

/* In the template, when all is loaded: map the memory for the first objects of a run. */
void python_memory_reserve(void);

/* In a request process, before its run: from now on small objects lie apart from the template's. */
void python_memory_begin(void);

#endif
