/* Which modules the template has loaded, and which a script added. */
#ifndef EXTHOST_PYTHON_MODULES_H
#define EXTHOST_PYTHON_MODULES_H

#include "interpreter/python_include.h"

#include <stdbool.h>

struct binding_run;
struct error;

/* Remember where installed modules are. Returns 0 or -1. */
int python_modules_start(void);

/* Import the few modules that every template has. A missing one is no error. */
void python_modules_import_common(void);

/* struct binding: preload. Returns 0, or -1 with *e filled and no exception pending. */
int python_modules_preload(const char *name, struct error *e);

/*
 * Before the first fork: the modules loaded now are the template's (the baseline). Returns 0 or -1.
 */
int python_modules_freeze(void);

/* Tell the host which installed modules the script loaded. Leaves no exception pending. */
void python_modules_notice(struct binding_run *run);

/*
 * Remove __main__ and the script's own modules (new and not installed) from sys.modules. Returns a
 * list of weak references to them, or NULL.
 */
PyObject *python_modules_forget(void);

/* A list of the module names that are not in the baseline, in the order of import; or NULL. */
PyObject *python_modules_new(void);

/* True if the template loaded this module from a file and python3 would not have at its start. */
bool python_modules_can_be_shadowed(PyObject *name);

/*
 * Remove every module that is not from the standard library from sys.modules, so that a virtual
 * environment's own copies are found. Returns 0 or -1.
 */
int python_modules_forget_packages(void);

#endif
