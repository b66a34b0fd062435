/*
 * The one place where Python.h is included, with what must precede it.
 *
 * The rules of this binding: every function is called by the thread that started the interpreter,
 * with the interpreter's lock held. The lock is released around waits only (python_app_wait, the
 * sending of a response). Where its header does not say otherwise, a function that returns -1 or
 * NULL leaves a Python exception pending. No function of struct binding returns with one.
 */
#ifndef EXTHOST_PYTHON_INCLUDE_H
#define EXTHOST_PYTHON_INCLUDE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#endif
