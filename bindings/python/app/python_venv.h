/* Virtual environments. */
#ifndef EXTHOST_PYTHON_VENV_H
#define EXTHOST_PYTHON_VENV_H

/*
 * Let the modules of a virtual environment be found. Returns 0, or -1; -1 without an exception: it
 * is no virtual environment for this Python, and the reason was printed on standard error.
 */
int python_venv_enter(const char *directory);

#endif
