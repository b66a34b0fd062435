/*
 * One run: what `tclsh script` does, in a process that already has the interpreter.
 *
 * Nothing is kept of a script between runs. Tcl compiles no top-level code, compiles a procedure
 * when it is first called, and cannot write its byte code to a file; reading the source again takes
 * microseconds. So this binding never calls binding_keep_code and never reads run->code.
 *
 * tcl_end.c tells how a run ends. Left out on purpose: the main loop that Tk would want after the
 * script.
 */
#include "cgi/tcl_run.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cgi/tcl_end.h"
#include "cgi/tcl_source.h"
#include "host/binding.h"
#include "interpreter/tcl_encoding.h"
#include "interpreter/tcl_environment.h"
#include "interpreter/tcl_error.h"
#include "interpreter/tcl_settings.h"
#include "interpreter/tcl_words.h"
#include "packages/tcl_path.h"

static void reseed(Tcl_Interp *interp);
static int evaluate(Tcl_Interp *interp, Tcl_Obj *path, struct binding_run *run);

void tcl_run(Tcl_Interp *interp, struct binding_run *run)
{
	Tcl_Obj *path;

	if (tcl_end_prepare(interp, run) == -1)
		binding_end(run, EXIT_FAILURE);
	tcl_environment_follow(interp);
	path = tcl_run_prepare(interp, run->script);
	if (run->settings[TCL_SETTING_PATH] != NULL)
		tcl_path_add(interp, run->settings[TCL_SETTING_PATH]);
	tcl_encoding_begin(interp);
	tcl_error_assert_none(interp);
	tcl_run_leave(interp, evaluate(interp, path, run));
}

Tcl_Obj *tcl_run_prepare(Tcl_Interp *interp, const char *script)
{
	Tcl_DString text;
	Tcl_Obj *path;

	Tcl_ExternalToUtfDString(NULL, script, -1, &text);
	path = Tcl_NewStringObj(Tcl_DStringValue(&text), Tcl_DStringLength(&text));
	Tcl_DStringFree(&text);
	Tcl_IncrRefCount(path);
	Tcl_SetVar2Ex(interp, "argv0", NULL, path, TCL_GLOBAL_ONLY);
	Tcl_SetVar2Ex(interp, "argc", NULL, Tcl_NewIntObj(0), TCL_GLOBAL_ONLY);
	Tcl_SetVar2Ex(interp, "argv", NULL, Tcl_NewObj(), TCL_GLOBAL_ONLY);
	Tcl_SetVar2Ex(interp, "tcl_interactive", NULL, Tcl_NewIntObj(0), TCL_GLOBAL_ONLY);
	reseed(interp);
	return path;
}

/*
 * Otherwise all processes would inherit the state of rand() if something has used it in the
 * template.
 */
static void reseed(Tcl_Interp *interp)
{
	static Tcl_Obj *kept;
	Tcl_Obj *words[2] = {tcl_word(&kept, "::tcl::mathfunc::srand")};
	unsigned char bytes[4];
	unsigned seed = 0;

	if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) != (ssize_t)sizeof(bytes))
		return;
	for (size_t i = 0; i < sizeof(bytes); i++)
		seed = seed << 8 | bytes[i];
	words[1] = Tcl_NewWideIntObj(seed & INT_MAX);
	Tcl_IncrRefCount(words[1]);
	Tcl_EvalObjv(interp, 2, words, TCL_EVAL_GLOBAL);
	Tcl_DecrRefCount(words[1]);
	Tcl_ResetResult(interp);
}

static int evaluate(Tcl_Interp *interp, Tcl_Obj *path, struct binding_run *run)
{
	int code;

	Tcl_Preserve(interp);
	code = tcl_source_evaluate(interp, path, run->source);
	if (code == TCL_OK)
		return EXIT_SUCCESS;
	tcl_error_tell(interp, run, code);
	return EXIT_FAILURE;
}

/* By the command `exit`, since a script may have replaced it. */
void tcl_run_leave(Tcl_Interp *interp, int status)
{
	if (!Tcl_InterpDeleted(interp) && !Tcl_LimitExceeded(interp))
		tcl_words(interp, "exit", status == EXIT_SUCCESS ? "0" : "1", NULL);
	Tcl_Exit(status);
	abort();
}
