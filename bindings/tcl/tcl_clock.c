/*
 * `clock` in a fresh interpreter. What formats and scans times is a large script of Tcl's, with
 * messages, locales and time zones behind it, and takes ten milliseconds before it gives its first
 * answer: more than all else in a short run. The template's interpreter has it ready; and as what it
 * answers depends on nothing but its words, the environment and the locale, it is asked.
 *
 * A script that has loaded msgcat may have changed the locale, and is given Tcl's own way. The
 * stubs that load that script stay what they are: they are watched from inside, and seen as before.
 */
#include "tcl_internal.h"

struct delegate {
	Tcl_CmdInfo command; /* the stub's */
	Tcl_Interp *first;   /* which is asked */
};

static int delegate_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static void forget(void *data, Tcl_Interp *interp);

void tcl_clock_share(Tcl_Interp *interp, Tcl_Interp *first)
{
	static const char *const names[] = {
	    "::tcl::clock::add", "::tcl::clock::format", "::tcl::clock::scan"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct delegate *delegate = (struct delegate *)Tcl_Alloc(sizeof(*delegate));
		Tcl_CmdInfo ours;

		if (!Tcl_GetCommandInfo(interp, names[i], &delegate->command)) {
			Tcl_Free((void *)delegate);
			continue;
		}
		delegate->first = first;
		Tcl_SetAssocData(interp, names[i], forget, delegate);
		ours = delegate->command;
		ours.objProc = delegate_command;
		ours.objClientData = delegate;
		Tcl_SetCommandInfo(interp, names[i], &ours);
	}
}

static int delegate_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	const struct delegate *delegate = data;
	int code;

	if (Tcl_FindNamespace(interp, "::msgcat", NULL, TCL_GLOBAL_ONLY) != NULL)
		return delegate->command.objProc(
		    delegate->command.objClientData, interp, count, words);
	code = Tcl_EvalObjv(delegate->first, count, words, TCL_EVAL_GLOBAL);
	Tcl_TransferResult(delegate->first, code, interp);
	tcl_error_forget(delegate->first);
	return code;
}

static void forget(void *data, Tcl_Interp *interp)
{
	(void)interp;
	Tcl_Free(data);
}
