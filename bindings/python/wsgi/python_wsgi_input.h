/* wsgi.input: the body of a request. */
#ifndef EXTHOST_PYTHON_WSGI_INPUT_H
#define EXTHOST_PYTHON_WSGI_INPUT_H

#include "interpreter/python_include.h"

struct binding_call;

/* Ready the type. Returns 0 or -1. */
int wsgi_input_start(void);

/* The wsgi.input of a request: a new reference, or NULL. */
PyObject *wsgi_input_new(const struct binding_call *call);

/* The request has ended: close its input for good. Takes the reference; object may be NULL. */
void wsgi_input_end(PyObject *object);

#endif
