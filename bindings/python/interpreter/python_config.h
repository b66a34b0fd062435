/* How the interpreter is configured: for scripts, and as the plain interpreter. */
#ifndef EXTHOST_PYTHON_CONFIG_H
#define EXTHOST_PYTHON_CONFIG_H

struct error;

/* Initialize the interpreter that runs scripts. Returns 0, or -1 with *e filled. */
int python_config_start(struct error *e);

/* struct binding: interpret. */
int python_interpret(int argc, char **argv);

#endif
