/* Virtual environments. */
#ifndef EXTHOST_PYTHON_VENV_H
#define EXTHOST_PYTHON_VENV_H

struct error;

/*
 * Check, without a started interpreter, that this directory is a virtual environment for this
 * version of Python: pyvenv.cfg says so, and it has packages. Returns 0, or -1 with *e filled.
 */
int python_venv_check(const char *directory, struct error *e);

/*
 * Let the modules of a virtual environment be found. Returns 0, or -1; -1 without an exception: it
 * is no virtual environment for this Python, and the reason was printed on standard error.
 */
int python_venv_enter(const char *directory);

#endif
