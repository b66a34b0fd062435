/* Exceptions on their way to the host: this file is the only way. */
#ifndef EXTHOST_PYTHON_ERROR_H
#define EXTHOST_PYTHON_ERROR_H

#include "interpreter/python_include.h"

struct error;

/* Turn the pending exception into *e, "doing: Type: text". Returns -1. */
int python_error_set(struct error *e, const char *doing);

/* Turn a failed status of the initialization into *e. Returns -1. */
int python_error_status(struct error *e, PyStatus status);

/* The pending exception ends the script: print what python3 prints, and return the exit status. */
int python_error_exit(void);

/* Print the pending exception with its traceback on sys.stderr, and clear it. */
void python_error_print(void);

/* Clear a pending exception. */
void python_error_clear(void);

/*
 * In a debug build: abort if an exception is pending. Called wherever control returns to the host.
 */
void python_error_assert_none(void);

#endif
