/*
 * What tclsh does before its script starts, for the template and for the plain interpreter; and the
 * plain interpreter itself, which is Tcl_Main: script or standard input, prompt, ~/.tclshrc.
 *
 * Tcl searches for packages relative to the program that it believes to be. A script must find the
 * packages that tclsh of the same installation finds, and must be able to start the interpreter
 * again by [info nameofexecutable]. So the program is that tclsh while the paths are made, and the
 * link in the host's library directory afterwards.
 *
 * If no locale is set at all, text is UTF-8, as for extensions; tclsh would take it for Latin-1.
 */
#include "interpreter/tcl_shell.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/binding.h"
#include "interpreter/tcl_encoding.h"
#include "interpreter/tcl_words.h"

static int init_like(Tcl_Interp *interp, Tcl_Interp *first);
static Tcl_Obj *read_init(Tcl_Interp *first);
static void copy_variable(Tcl_Interp *interp, Tcl_Interp *first, const char *name);
static int init_main(Tcl_Interp *interp);
static int append_library(Tcl_Interp *interp);
static int is_unset(const char *name);

/* Written once in a process; Tcl_Main passes no data to init_main. */
static struct {
	const char *name; /* the name that the program was called by */
	/* The argument of tcl_shell_interpret. */
	int (*begin)(Tcl_Interp *interp, const char *name);
	int lent_locale; /* LC_CTYPE was set here and must be unset again */
	Tcl_Obj *init;   /* the text of init.tcl; NULL: not read yet */
} shell;

int tcl_shell_init(Tcl_Interp *interp)
{
	char link[4096];
	int code;

	Tcl_FindExecutable(EXTHOST_TCL_PREFIX "/bin/tclsh");
	code = Tcl_Init(interp);
	/* This makes the module path, which tclsh makes when it is first used. */
	if (code == TCL_OK)
		code = tcl_words(interp, "::tcl::tm::path", "list", NULL);
	snprintf(link, sizeof(link), "%s/bin/tclsh", binding_library());
	Tcl_FindExecutable(link);
	if (code != TCL_OK || append_library(interp) != TCL_OK)
		return TCL_ERROR;
	Tcl_SetVar2(interp, "tcl_rcFileName", NULL, "~/.tclshrc", TCL_GLOBAL_ONLY);
	return TCL_OK;
}

int tcl_shell_init_like(Tcl_Interp *interp, Tcl_Interp *first)
{
	copy_variable(interp, first, "tcl_library");
	if (init_like(interp, first) != TCL_OK)
		return TCL_ERROR;
	copy_variable(interp, first, "auto_path");
	Tcl_SetVar2(interp, "tcl_rcFileName", NULL, "~/.tclshrc", TCL_GLOBAL_ONLY);
	tcl_encoding_watch(interp);
	return TCL_OK;
}

/*
 * What Tcl_Init does when tcl_library is set: source init.tcl from there. Half of its cost is to
 * find this out and to read the file.
 */
static int init_like(Tcl_Interp *interp, Tcl_Interp *first)
{
	if (shell.init == NULL)
		shell.init = read_init(first);
	if (shell.init == NULL)
		return Tcl_Init(interp);
	Tcl_UnsetVar2(interp, "tclDefaultLibrary", NULL, TCL_GLOBAL_ONLY);
	return Tcl_EvalObjEx(interp, shell.init, TCL_EVAL_GLOBAL | TCL_EVAL_DIRECT);
}

/* A new reference, or NULL. */
static Tcl_Obj *read_init(Tcl_Interp *first)
{
	const char *library = Tcl_GetVar2(first, "tcl_library", NULL, TCL_GLOBAL_ONLY);
	Tcl_Obj *path = Tcl_ObjPrintf("%s/init.tcl", library != NULL ? library : "");
	Tcl_Obj *text = Tcl_NewObj();
	Tcl_Channel channel;

	Tcl_IncrRefCount(path);
	Tcl_IncrRefCount(text);
	channel = Tcl_FSOpenFileChannel(NULL, path, "r", 0);
	if (channel == NULL || Tcl_ReadChars(channel, text, -1, 0) <= 0) {
		Tcl_DecrRefCount(text);
		text = NULL;
	}
	if (channel != NULL)
		Tcl_Close(NULL, channel);
	Tcl_DecrRefCount(path);
	return text;
}

static void copy_variable(Tcl_Interp *interp, Tcl_Interp *first, const char *name)
{
	Tcl_Obj *value = Tcl_GetVar2Ex(first, name, NULL, TCL_GLOBAL_ONLY);

	if (value != NULL)
		Tcl_SetVar2Ex(interp, name, NULL, value, TCL_GLOBAL_ONLY);
}

int tcl_shell_interpret(int argc, char **argv, int (*begin)(Tcl_Interp *interp, const char *name))
{
	char link[4096];

	shell.name = argv[0];
	shell.begin = begin;
	if (is_unset("LC_ALL") && is_unset("LC_CTYPE") && is_unset("LANG"))
		shell.lent_locale = setenv("LC_CTYPE", "C.UTF-8", 1) == 0;
	snprintf(link, sizeof(link), "%s/bin/tclsh", binding_library());
	argv[0] = link;
	Tcl_Main(argc, argv, init_main);
	return 0;
}

static int init_main(Tcl_Interp *interp)
{
	Tcl_Obj *name;

	if (tcl_shell_init(interp) != TCL_OK)
		return TCL_ERROR;
	if (shell.lent_locale)
		Tcl_UnsetVar2(interp, "env", "LC_CTYPE", TCL_GLOBAL_ONLY);
	if (Tcl_GetStartupScript(NULL) == NULL) {
		/* Tcl_Main makes the standard channels next, before it reads the first command. */
		name = Tcl_NewStringObj(shell.name, -1);
		Tcl_SetVar2Ex(interp, "argv0", NULL, name, TCL_GLOBAL_ONLY);
	} else {
		tcl_encoding_watch(interp);
		tcl_encoding_begin(interp);
	}
	return shell.begin(interp, shell.name);
}

static int append_library(Tcl_Interp *interp)
{
	Tcl_Obj *directory = Tcl_ObjPrintf("%s/tcl", binding_library());
	int flags = TCL_GLOBAL_ONLY | TCL_APPEND_VALUE | TCL_LIST_ELEMENT | TCL_LEAVE_ERR_MSG;

	return Tcl_SetVar2Ex(interp, "auto_path", NULL, directory, flags) == NULL ? TCL_ERROR
										  : TCL_OK;
}

static int is_unset(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || *value == '\0';
}
