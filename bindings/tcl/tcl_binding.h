/* Tcl as a language of the host. Not named tcl.h, since that is Tcl's own header. */
#ifndef EXTHOST_TCL_BINDING_H
#define EXTHOST_TCL_BINDING_H

#include "host/binding.h"

extern const struct binding tcl_binding;

#endif
