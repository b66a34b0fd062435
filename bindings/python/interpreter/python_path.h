/* sys.path. */
#ifndef EXTHOST_PYTHON_PATH_H
#define EXTHOST_PYTHON_PATH_H

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

/* Remove from the template's sys.path what the run has added. */
void python_path_drop(void);

#endif
