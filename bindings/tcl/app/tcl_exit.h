/* `exit` in a request. */
#ifndef EXTHOST_TCL_EXIT_H
#define EXTHOST_TCL_EXIT_H

#include "interpreter/tcl_include.h"

#include <stdbool.h>

struct tcl_exit {
	Tcl_CmdInfo command; /* the command `exit` itself */
	bool in_request;     /* a request is being answered */
	bool called;         /* the request has called exit */
	int status;          /* its exit status, 8 bits */
};

/* From now on `exit` in a request cancels the evaluation. Returns a Tcl completion code. */
int tcl_exit_watch(Tcl_Interp *interp, struct tcl_exit *exits);

/* A request begins. */
void tcl_exit_begin(struct tcl_exit *exits);

/* The request ends. */
void tcl_exit_end(struct tcl_exit *exits);

#endif
