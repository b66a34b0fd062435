/* Flushing of Python's files. No function here leaves an exception pending. */
#ifndef EXTHOST_PYTHON_FLUSH_H
#define EXTHOST_PYTHON_FLUSH_H

#include "interpreter/python_include.h"

#include <stdbool.h>

/* Look up what flushing needs. Returns 0, or -1 with an exception. */
int python_flush_start(void);

/*
 * Flush sys.stdout and sys.stderr as python3 does at its end: a failure on sys.stdout is reported,
 * one on sys.stderr is not. Returns 0, or -1 if either failed.
 */
int python_flush_output(void);

/*
 * Flush sys.stderr and sys.stdout, report nothing, and keep a pending exception. Returns false if
 * sys.stdout could not be written and may still buffer the bytes.
 */
bool python_flush_standard(void);

/* Flush a file. Returns false if it could not be written and may still buffer the bytes. */
bool python_flush_file(PyObject *file);

/* A list of the files that are open for writing and not frozen; NULL: no memory. */
PyObject *python_flush_find_writers(void);

/* Flush all of these, and ignore failures. */
void python_flush_writers(void);

#endif
