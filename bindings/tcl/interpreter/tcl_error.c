/*
 * Errors on their way to the host: into struct error, or onto standard error as tclsh prints them.
 * Each is cleared afterwards, since a script must not find in ::errorInfo what the template caught.
 */
#include "interpreter/tcl_error.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/error.h"
#include "host/binding.h"

int tcl_error_set(Tcl_Interp *interp, struct error *e, const char *doing)
{
	error_set(e, "%s: %s", doing, Tcl_GetStringResult(interp));
	tcl_error_forget(interp);
	return -1;
}

void tcl_error_tell(Tcl_Interp *interp, struct binding_run *run, int code)
{
	const char *error = Tcl_GetVar2(interp, "::errorCode", NULL, TCL_GLOBAL_ONLY);

	if (error != NULL && strcmp(error, "TCL MEMORY") == 0)
		binding_no_memory(run);
	tcl_error_print(interp, code);
}

/* As Tcl_Main; the evaluation has added file and line already. */
void tcl_error_print(Tcl_Interp *interp, int code)
{
	Tcl_Channel channel = Tcl_GetStdChannel(TCL_STDERR);
	Tcl_Obj *options;
	Tcl_Obj *key;
	Tcl_Obj *text = NULL;

	if (channel == NULL)
		return;
	options = Tcl_GetReturnOptions(interp, code);
	Tcl_IncrRefCount(options);
	key = Tcl_NewStringObj("-errorinfo", -1);
	Tcl_IncrRefCount(key);
	if (Tcl_DictObjGet(NULL, options, key, &text) == TCL_OK && text != NULL)
		Tcl_WriteObj(channel, text);
	Tcl_WriteChars(channel, "\n", 1);
	Tcl_DecrRefCount(key);
	Tcl_DecrRefCount(options);
}

/* Tcl sets both variables together and traces both. Unsetting what is not set would cost most. */
void tcl_error_forget(Tcl_Interp *interp)
{
	Tcl_ResetResult(interp);
	if (Tcl_GetVar2Ex(interp, "errorInfo", NULL, TCL_GLOBAL_ONLY) == NULL)
		return;
	Tcl_UnsetVar2(interp, "errorInfo", NULL, TCL_GLOBAL_ONLY);
	Tcl_UnsetVar2(interp, "errorCode", NULL, TCL_GLOBAL_ONLY);
}

void tcl_error_assert_none(Tcl_Interp *interp)
{
	if (Tcl_GetStringResult(interp)[0] != '\0' ||
	    Tcl_GetVar2Ex(interp, "errorInfo", NULL, TCL_GLOBAL_ONLY) != NULL)
		abort();
}
