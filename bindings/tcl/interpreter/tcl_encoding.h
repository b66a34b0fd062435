/* The system encoding, and the standard channels that follow it. */
#ifndef EXTHOST_TCL_ENCODING_H
#define EXTHOST_TCL_ENCODING_H

#include "interpreter/tcl_include.h"

#include <stdbool.h>

/*
 * From now on `encoding system` sets the encoding of the standard channels too, until the script
 * has used a channel.
 */
void tcl_encoding_watch(Tcl_Interp *interp);

/* Do not count the host's own use of channels until now as the script's. */
void tcl_encoding_begin(Tcl_Interp *interp);

/* True if a channel has been used since tcl_encoding_begin. */
bool tcl_encoding_has_begun(Tcl_Interp *interp);

/* Call this function whenever `encoding system` sets the encoding after a channel has been used. */
void tcl_encoding_notify(void (*function)(void));

#endif
