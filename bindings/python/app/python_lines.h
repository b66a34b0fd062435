/* Unfinished lines in the log. */
#ifndef EXTHOST_PYTHON_LINES_H
#define EXTHOST_PYTHON_LINES_H

#include <stdbool.h>

/*
 * From now on keep track of whether the last line on sys.stderr is unfinished, and with output also
 * the last line on sys.stdout. Returns 0 or -1.
 */
int python_lines_start(bool output);

/* Finish the unfinished lines. Leaves no exception pending. */
void python_lines_end(void);

#endif
