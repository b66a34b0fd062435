/* The garbage collector. */
#ifndef EXTHOST_PYTHON_COLLECT_H
#define EXTHOST_PYTHON_COLLECT_H

/* Look up what collecting needs. Returns 0 or -1. */
int python_collect_start(void);

/*
 * Collect garbage, even if the script disabled the collector: the youngest generation alone where
 * all objects are in it. (A full collection also empties Python's lists of free objects; the
 * objects made afterwards count as young, so one collection would lead to the next.) Leaves no
 * exception.
 */
void python_collect(void);

/* A number that changes when the collector has more or fewer objects to look at. */
long python_collect_count_young(void);

/* Collect, and let the collector never look at the remaining objects again. Returns 0 or -1. */
int python_collect_freeze(void);

/* As python_collect_freeze; ignores a failure and leaves no exception. */
void python_collect_put_aside(void);

#endif
