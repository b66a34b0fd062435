/*
 * `clock` in a fresh interpreter.
 *
 * Formatting and scanning times is a large script of Tcl's, with messages, locales and time zones,
 * and takes ten milliseconds to give its first answer: more than all else in a short run. The
 * template's interpreter has loaded it. Its answers depend on nothing but its words, the
 * environment and the locale, so that interpreter is asked.
 *
 * If the script has loaded msgcat, it may have changed the locale, and the request's environment
 * may name one. Then Tcl's own script is loaded into the fresh interpreter, as tclsh would do.
 */
#include "interpreter/tcl_clock.h"

#include "interpreter/tcl_environment.h"
#include "interpreter/tcl_error.h"
#include "interpreter/tcl_words.h"

static int ask_first(void *first, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static int load_own(Tcl_Interp *interp);

void tcl_clock_share(Tcl_Interp *interp, Tcl_Interp *first)
{
	static const char *const names[] = {
	    "::tcl::clock::add", "::tcl::clock::format", "::tcl::clock::scan"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (Tcl_FindCommand(interp, names[i], NULL, TCL_GLOBAL_ONLY) != NULL)
			Tcl_CreateObjCommand(interp, names[i], ask_first, first, NULL);
}

static int ask_first(void *first, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	int code;

	if (Tcl_FindNamespace(interp, "::msgcat", NULL, TCL_GLOBAL_ONLY) != NULL ||
	    tcl_environment_has_locale()) {
		code = load_own(interp);
		return code == TCL_OK ? Tcl_EvalObjv(interp, count, words, 0) : code;
	}
	code = Tcl_EvalObjv(first, count, words, TCL_EVAL_GLOBAL);
	Tcl_TransferResult(first, code, interp);
	tcl_error_forget(first);
	return code;
}

/* Replaces the command that is running. */
static int load_own(Tcl_Interp *interp)
{
	const char *library = Tcl_GetVar2(interp, "tcl_library", NULL, TCL_GLOBAL_ONLY);
	Tcl_Obj *path = Tcl_ObjPrintf("%s/clock.tcl", library != NULL ? library : "");
	int code;

	Tcl_IncrRefCount(path);
	code = tcl_words(interp, "source", "-encoding", "utf-8", Tcl_GetString(path), NULL);
	Tcl_DecrRefCount(path);
	return code;
}
