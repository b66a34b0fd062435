/* The code of a script. */
#ifndef EXTHOST_PYTHON_CODE_H
#define EXTHOST_PYTHON_CODE_H

#include "interpreter/python_include.h"

struct binding_run;

/* Look up what every run needs. Returns 0 or -1. */
int python_code_start(void);

/*
 * The compiled script: from the code that the host kept, or else compiled from its source and given
 * to the host to keep. NULL without an exception: run it by python_code_run_file.
 */
PyObject *python_code_load(struct binding_run *run);

/* The compiled script, always from its source; the host keeps nothing. NULL with an exception. */
PyObject *python_code_compile(const struct binding_run *run);

/* Close the descriptors of the script and of the kept code, so that the script finds neither. */
void python_code_close(struct binding_run *run);

/* Run the script from its file in these globals; closes as above. A new reference, or NULL. */
PyObject *python_code_run_file(struct binding_run *run, PyObject *globals);

#endif
