/* Warming: writing ahead to the memory that a run will write. */
#ifndef EXTHOST_PYTHON_WARM_H
#define EXTHOST_PYTHON_WARM_H

/* Compile the sample script. Returns 0 or -1. */
int python_warm_start(void);

/* struct binding: warm. */
void python_warm(void);

#endif
