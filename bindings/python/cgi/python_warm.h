/* Warming: writing ahead to the memory that a run will write. */
#ifndef EXTHOST_PYTHON_WARM_H
#define EXTHOST_PYTHON_WARM_H

/* Compile the sample script. Returns 0 or -1. */
int python_warm_start(void);

/*
 * In the template, when all is loaded: warm several times, so that Python's caches (where a method
 * is, which form of an instruction fits) are filled before the fork, and not in every process.
 */
void python_warm_rehearse(void);

/* struct binding: warm. */
void python_warm(void);

#endif
