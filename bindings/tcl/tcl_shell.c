/*
 * tclsh: what it does before its script starts, for the template and for the plain interpreter, and
 * the plain interpreter itself, which is Tcl_Main: script or standard input, prompt, ~/.tclshrc.
 *
 * Tcl finds packages relative to the program it believes to be. Scripts must find those that
 * tclsh of the same installation finds, and must be able to start the interpreter again by
 * [info nameofexecutable]; so the program is that tclsh while the paths are made, and our link
 * afterwards.
 *
 * Where no locale is set at all, text is UTF-8, as for extensions; tclsh would take it for Latin-1.
 */
#include "tcl_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/binding.h"

static void copy_variable(Tcl_Interp *interp, Tcl_Interp *first, const char *name);
static int init_main(Tcl_Interp *interp);
static int append_library(Tcl_Interp *interp);
static int is_unset(const char *name);

/* What Tcl_Main gives no way to hand to init_main. */
static struct {
	const char *name; /* the name called by */
	int lent_locale;  /* LC_CTYPE was set here and must go again */
} shell;

int tcl_shell_init(Tcl_Interp *interp)
{
	char link[4096];
	int code;

	Tcl_FindExecutable(EXTHOST_TCL_PREFIX "/bin/tclsh");
	code = Tcl_Init(interp);
	/* This makes the path of modules, which tclsh makes when it first needs it. */
	if (code == TCL_OK)
		code = tcl_words(interp, "::tcl::tm::path", "list", NULL);
	snprintf(link, sizeof(link), "%s/bin/tclsh", binding_library());
	Tcl_FindExecutable(link);
	if (code != TCL_OK || append_library(interp) != TCL_OK)
		return TCL_ERROR;
	tcl_wapp_watch(interp);
	Tcl_SetVar2(interp, "tcl_rcFileName", NULL, "~/.tclshrc", TCL_GLOBAL_ONLY);
	return TCL_OK;
}

int tcl_shell_init_like(Tcl_Interp *interp, Tcl_Interp *first)
{
	/* The library is found by this variable, if it is set, and nothing is searched. */
	copy_variable(interp, first, "tcl_library");
	if (Tcl_Init(interp) != TCL_OK)
		return TCL_ERROR;
	copy_variable(interp, first, "auto_path");
	Tcl_SetVar2(interp, "tcl_rcFileName", NULL, "~/.tclshrc", TCL_GLOBAL_ONLY);
	tcl_wapp_watch(interp);
	return TCL_OK;
}

static void copy_variable(Tcl_Interp *interp, Tcl_Interp *first, const char *name)
{
	Tcl_Obj *value = Tcl_GetVar2Ex(first, name, NULL, TCL_GLOBAL_ONLY);

	if (value != NULL)
		Tcl_SetVar2Ex(interp, name, NULL, value, TCL_GLOBAL_ONLY);
}

int tcl_shell_interpret(int argc, char **argv)
{
	char link[4096];

	shell.name = argv[0];
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
		name = Tcl_NewStringObj(shell.name, -1);
		Tcl_SetVar2Ex(interp, "argv0", NULL, name, TCL_GLOBAL_ONLY);
	}
	return TCL_OK;
}

static int append_library(Tcl_Interp *interp)
{
	Tcl_Obj *folder = Tcl_ObjPrintf("%s/tcl", binding_library());
	int flags = TCL_GLOBAL_ONLY | TCL_APPEND_VALUE | TCL_LIST_ELEMENT | TCL_LEAVE_ERR_MSG;

	return Tcl_SetVar2Ex(interp, "auto_path", NULL, folder, flags) == NULL ? TCL_ERROR : TCL_OK;
}

static int is_unset(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || *value == '\0';
}
