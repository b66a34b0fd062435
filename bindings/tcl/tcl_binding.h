/* Tcl as a language of the host. (Not tcl.h: that name is Tcl's own.) */
#ifndef EXTHOST_TCL_BINDING_H
#define EXTHOST_TCL_BINDING_H

#include "host/binding.h"

extern const struct binding tcl_binding;

#endif
