/* WSGI (PEP 3333): one request to an app, on the thread that loaded it. */
#ifndef EXTHOST_PYTHON_WSGI_H
#define EXTHOST_PYTHON_WSGI_H

#include "interpreter/python_include.h"

struct binding_call;
struct binding_run;

/* Make what all requests share. Returns 0 or -1. */
int python_wsgi_start(void);

/* struct binding: answer, by this application. Leaves no exception pending. */
int python_wsgi_answer(PyObject *application, struct binding_run *run, struct binding_call *call);

#endif
