/*
 * wapptclsh is a tclsh that has the package wapp built in. Ours is called by its name and has no
 * wapp: it is one file, wapp.tcl, that anybody may take from its author. So when wapp is required
 * and not known, a file wapp.tcl that stands beside the script is taken; and when there is none, the
 * error message says what to do.
 *
 * `package` is watched from inside for that, beneath what tcl_packages does.
 */
#include "tcl_internal.h"

#include <string.h>

static int package_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static bool requires_wapp(int count, Tcl_Obj *const words[]);
static bool is_known(const Tcl_CmdInfo *package, Tcl_Interp *interp);
static void look_beside_script(Tcl_Interp *interp);
static void forget(void *data, Tcl_Interp *interp);

static const char hint[] =
    "\nwapp.tcl is not part of exthost: put it beside the script, or into a folder that tcl-path "
    "names";

void tcl_wapp_watch(Tcl_Interp *interp)
{
	Tcl_CmdInfo *package = (Tcl_CmdInfo *)Tcl_Alloc(sizeof(*package));
	Tcl_CmdInfo ours;

	if (!Tcl_GetCommandInfo(interp, "::package", package)) {
		Tcl_Free((void *)package);
		return;
	}
	Tcl_SetAssocData(interp, "exthost wapp", forget, package);
	ours = *package;
	ours.objProc = package_command;
	ours.objClientData = package;
	Tcl_SetCommandInfo(interp, "::package", &ours);
}

static int package_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	const Tcl_CmdInfo *package = data;
	bool wanted = requires_wapp(count, words);
	int code;

	if (wanted && !is_known(package, interp))
		look_beside_script(interp);
	code = package->objProc(package->objClientData, interp, count, words);
	if (code == TCL_ERROR && wanted && !is_known(package, interp))
		Tcl_AppendResult(interp, hint, NULL);
	return code;
}

/* `package require ?-exact? wapp ...`; Tcl takes any "r..." for require. */
static bool requires_wapp(int count, Tcl_Obj *const words[])
{
	int name = count > 3 && strcmp(Tcl_GetString(words[2]), "-exact") == 0 ? 3 : 2;
	const char *verb = count > name ? Tcl_GetString(words[1]) : "";

	return verb[0] == 'r' && strcmp(Tcl_GetString(words[name]), "wapp") == 0;
}

/* Leaves the result as it is. */
static bool is_known(const Tcl_CmdInfo *package, Tcl_Interp *interp)
{
	Tcl_InterpState state = Tcl_SaveInterpState(interp, TCL_OK);
	bool known = false;

	if (tcl_words_call(package, interp, "package", "versions", "wapp", NULL) == TCL_OK)
		known = Tcl_GetStringResult(interp)[0] != '\0';
	if (!known && tcl_words_call(package, interp, "package", "provide", "wapp", NULL) == TCL_OK)
		known = Tcl_GetStringResult(interp)[0] != '\0';
	Tcl_RestoreInterpState(interp, state);
	return known;
}

/* Only where argv0 is a script: there is none at a prompt. */
static void look_beside_script(Tcl_Interp *interp)
{
	Tcl_Obj *script = Tcl_GetVar2Ex(interp, "argv0", NULL, TCL_GLOBAL_ONLY);
	Tcl_Obj *normal = script != NULL ? Tcl_FSGetNormalizedPath(interp, script) : NULL;
	const char *path = normal != NULL ? Tcl_GetString(normal) : "";
	const char *slash = strrchr(path, '/');
	Tcl_Obj *beside;

	if (slash == NULL || Tcl_FSAccess(normal, 0) != 0)
		return;
	beside = Tcl_ObjPrintf("%.*s/wapp.tcl", (int)(slash - path), path);
	Tcl_IncrRefCount(beside);
	tcl_provide_declare(interp, beside);
	Tcl_DecrRefCount(beside);
}

static void forget(void *data, Tcl_Interp *interp)
{
	(void)interp;
	Tcl_Free(data);
}
