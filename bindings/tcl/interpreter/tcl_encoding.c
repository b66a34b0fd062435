/*
 * `encoding system NAME` before a script has used any channel is the encoding of its standard
 * channels too: tclsh makes these when the first command asks for a channel, and a channel has the
 * encoding that is the system's when it is made. Here they are made before the script begins. So the
 * command is watched from inside, and they are given the encoding afterwards.
 *
 * That a script has used a channel shows in its interpreter: Tcl makes a table of its channels for
 * it then, in which the standard ones are first ("tclIO", among the interpreter's associated data).
 * The host's own work before the script makes one as well, which is taken away again.
 */
#include "interpreter/tcl_encoding.h"

/* Given by tcl_encoding_notify; NULL: none. */
static void (*notified)(void);

/* What Tcl calls the table of an interpreter's channels, in 8.6 and 9.0. */
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
