/* One run of a script, and its steps. */
#ifndef EXTHOST_PYTHON_RUN_H
#define EXTHOST_PYTHON_RUN_H

#include "interpreter/python_include.h"

struct binding_run;

/* Look up what a run needs. Returns 0 or -1. */
int python_run_start(void);

/* In the template, when all is loaded: make what a run begins with. Returns 0 or -1. */
int python_run_prepare(void);

/* struct binding: run. */
void python_run(struct binding_run *run) __attribute__((noreturn));

/* Replace the contents of os.environ. Returns 0 or -1. */
int python_run_take_environment(const char *const *environment);

/* In the template: empty os.environ, since every forked process fills it. */
void python_run_drop_environment(void);

/* Put a new module in the place of __main__. Its globals, a borrowed reference; or NULL. */
PyObject *python_run_take_main(void);

/* Set the script's name in these globals and in sys.argv. Returns 0 or -1. */
int python_run_take_script(const char *path, PyObject *globals);

/* Set sys.argv and sys.orig_argv for this script. Returns 0 or -1. */
int python_run_set_argv(PyObject *script);

/*
 * For python_warm: the steps before a run, with a module that is not in sys.modules. A new
 * reference to it, or NULL. The next run sets again what this leaves in os.environ and sys.argv.
 */
PyObject *python_run_rehearse(const char *const *environment);

#endif
