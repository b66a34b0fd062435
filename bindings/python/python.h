/* CPython as a language of the host. */
#ifndef EXTHOST_PYTHON_H
#define EXTHOST_PYTHON_H

#include "host/binding.h"

extern const struct binding python_binding;

#endif
