/* The environ of a WSGI request. */
#ifndef EXTHOST_PYTHON_WSGI_ENVIRON_H
#define EXTHOST_PYTHON_WSGI_ENVIRON_H

#include "interpreter/python_include.h"

#include <stdbool.h>

struct binding_call;

/* Make what all requests share. Returns 0 or -1. */
int wsgi_environ_start(void);

/* A new dict, which the app may change, or NULL. *head: the method is HEAD. */
PyObject *wsgi_environ_make(const struct binding_call *call, PyObject *input, bool *head);

#endif
