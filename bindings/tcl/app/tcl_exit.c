/*
 * `exit` in a request.
 *
 * It ends the request at least, and must leave all commands that are running. So it cancels the
 * evaluation, which no `catch` stops. The caller of that evaluation sees that `exit` was called,
 * and with which status. The command is watched from inside: a script may rename or replace it, as
 * in tclsh.
 *
 * Outside of a request, and in an interpreter that the script itself has made, `exit` is Tcl's.
 */
#include "app/tcl_exit.h"

#include <stdlib.h>

static int exit_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);

int tcl_exit_watch(Tcl_Interp *interp, struct tcl_exit *exits)
{
	Tcl_CmdInfo ours;

	if (!Tcl_GetCommandInfo(interp, "::exit", &exits->command))
		return TCL_ERROR;
	ours = exits->command;
	ours.objProc = exit_command;
	ours.objClientData = exits;
	Tcl_SetCommandInfo(interp, "::exit", &ours);
	return TCL_OK;
}

void tcl_exit_begin(struct tcl_exit *exits)
{
	exits->in_request = true;
	exits->called = false;
	exits->status = EXIT_SUCCESS;
}

void tcl_exit_end(struct tcl_exit *exits)
{
	exits->in_request = false;
}

/* exit ?STATUS? */
static int exit_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	struct tcl_exit *exits = data;
	int status = EXIT_SUCCESS;

	if (!exits->in_request || count > 2)
		return exits->command.objProc(exits->command.objClientData, interp, count, words);
	if (count == 2 && Tcl_GetIntFromObj(interp, words[1], &status) != TCL_OK)
		return TCL_ERROR;
	exits->status = status & 0xff;
	exits->called = true;
	Tcl_CancelEval(interp, NULL, NULL, TCL_CANCEL_UNWIND);
	/* An asynchronous handler does the cancelling: let it run now. */
	Tcl_AsyncInvoke(interp, TCL_OK);
	return TCL_ERROR;
}
