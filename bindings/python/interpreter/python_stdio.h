/* Descriptors 0, 1 and 2 while the interpreter starts. */
#ifndef EXTHOST_PYTHON_STDIO_H
#define EXTHOST_PYTHON_STDIO_H

struct error;

struct python_stdio {
	int saved[3]; /* duplicates of descriptors 0, 1 and 2; -1: it was closed */
	int messages; /* the end of the pipe from which Python's output is read */
};

/* Replace 0, 1 and 2 by pipes. Returns 0, or -1 with *e filled and nothing changed. */
int python_stdio_lend(struct python_stdio *stdio, struct error *e);

/* Restore the descriptors, and copy what Python printed to the restored descriptor 2. */
void python_stdio_return(struct python_stdio *stdio);

#endif
