/* sys.path. */
#ifndef EXTHOST_PYTHON_PATH_H
#define EXTHOST_PYTHON_PATH_H

struct binding_run;

/* Append the directory from which `import exthost` is served. Returns 0 or -1. */
int python_path_add_library(void);

/* In the template, when all is loaded: remember sys.path for python_path_drop. Returns 0 or -1. */
int python_path_hold(void);

/*
 * The setting python-path: insert these directories (separated by ':') at the front of sys.path, in
 * their order, and let the modules in them win over the template's. Returns 0 or -1.
 */
int python_path_take_list(const char *directories);

/*
 * Insert the script's directory, links followed, at the front of sys.path, likewise. Returns 0 or
 * -1.
 */
int python_path_take_script(const char *script);

/*
 * Set sys.path up for a run or an app, from the front: the script's directory, those of
 * python-path, the virtual environment's packages. Returns 0, or -1, perhaps without an exception:
 * python_venv_enter.
 */
int python_path_take_run(const struct binding_run *run);

/* Remove from the template's sys.path what the run has added. */
void python_path_drop(void);

#endif
