/* wsgi.file_wrapper: a file as the body of a response. */
#ifndef EXTHOST_PYTHON_WSGI_FILE_H
#define EXTHOST_PYTHON_WSGI_FILE_H

#include "interpreter/python_include.h"

#include <stdbool.h>

struct wsgi_reply;

/* Ready the type. Returns 0 or -1. */
int wsgi_file_start(void);

/* The type itself, which apps know as wsgi.file_wrapper: a borrowed reference. */
PyObject *wsgi_file_wrapper(void);

/* True if an app's result is of this very type, and not of a subclass. */
bool wsgi_file_check(PyObject *result);

/* Send the regular file of a wrapper without reading it. Returns as wsgi_reply_file. */
int wsgi_file_send(PyObject *self, struct wsgi_reply *reply);

#endif
