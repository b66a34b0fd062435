/*
 * The system encoding, and the standard channels that follow it.
 *
 * tclsh makes its standard channels when a command first needs a channel, and a channel begins with
 * the system encoding of that moment. So `encoding system NAME` before that sets the encoding of
 * the standard channels too. Here they exist before the script begins. So the command is watched
 * from inside, and the channels get the encoding afterwards.
 *
 * Whether a script has used a channel shows in its interpreter: Tcl then makes a table of its
 * channels, with the standard ones first ("tclIO", among the interpreter's associated data). The
 * host's own work before the script makes this table as well, so it is removed again.
 */
#include "interpreter/tcl_encoding.h"

/* The function given to tcl_encoding_notify; NULL: none. */
static void (*notified)(void);

/* The name of the table of an interpreter's channels, in Tcl 8.6 and 9.0. */
static const char table[] = "tclIO";

static int system_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static void follow(void);
static void forget(void *data, Tcl_Interp *interp);

void tcl_encoding_watch(Tcl_Interp *interp)
{
	Tcl_CmdInfo *command = (Tcl_CmdInfo *)Tcl_Alloc(sizeof(*command));
	Tcl_CmdInfo ours;

	if (!Tcl_GetCommandInfo(interp, "::tcl::encoding::system", command)) {
		Tcl_Free((void *)command);
		return;
	}
	Tcl_SetAssocData(interp, "exthost encoding", forget, command);
	ours = *command;
	ours.objProc = system_command;
	ours.objClientData = command;
	Tcl_SetCommandInfo(interp, "::tcl::encoding::system", &ours);
}

void tcl_encoding_begin(Tcl_Interp *interp)
{
	Tcl_DeleteAssocData(interp, table);
}

bool tcl_encoding_has_begun(Tcl_Interp *interp)
{
	return Tcl_GetAssocData(interp, table, NULL) != NULL;
}

void tcl_encoding_notify(void (*function)(void))
{
	notified = function;
}

static int system_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	const Tcl_CmdInfo *command = data;
	int code = command->objProc(command->objClientData, interp, count, words);

	if (code != TCL_OK || count < 2)
		return code;
	if (!tcl_encoding_has_begun(interp))
		follow();
	else if (notified != NULL)
		notified();
	return code;
}

static void follow(void)
{
	static const int types[] = {TCL_STDIN, TCL_STDOUT, TCL_STDERR};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		Tcl_Channel channel = Tcl_GetStdChannel(types[i]);

		if (channel != NULL)
			Tcl_SetChannelOption(NULL, channel, "-encoding", Tcl_GetEncodingName(NULL));
	}
}

static void forget(void *data, Tcl_Interp *interp)
{
	(void)interp;
	Tcl_Free(data);
}
