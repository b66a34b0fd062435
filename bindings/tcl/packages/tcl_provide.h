/* Packages in one plain script, without an index. */
#ifndef EXTHOST_TCL_PROVIDE_H
#define EXTHOST_TCL_PROVIDE_H

#include "interpreter/tcl_include.h"

/* Declare to `package` what the script at this path says that it provides. It need not exist. */
void tcl_provide_declare(Tcl_Interp *interp, Tcl_Obj *path);

#endif
