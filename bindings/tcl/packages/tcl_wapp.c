/*
 * wapp, and the name wapptclsh.
 *
 * wapptclsh is a tclsh with sqlite3 and wapp built in, whose commands are there from the start
 * (https://wapp.tcl.tk/home/doc/trunk/docs/compiling.md). exthost has them too when it is called by
 * that name, in a script's first line or as the plain interpreter. wapp itself is not part of
 * exthost: it is one file, wapp.tcl, to be had from its author. It is found beside the script, on
 * tcl-path, or among the installed packages, and so for `package require wapp` under any name. If
 * it is nowhere, the error message of the first command that needs it says what to do.
 *
 * An app needs two more things. wapp-start, called while the app loads, finds no request and would
 * start a web server and a browser; it is refused. And ::wapp, which holds all of a request, is
 * restored before each request, since wapp expects one request in a process.
 *
 * For this `package`, `unknown` and `wapp-start` are watched from inside, `package` beneath what
 * tcl_packages does. The two procedures stay procedures (`info body`): only their C function is
 * replaced.
 */
#include "packages/tcl_wapp.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interpreter/tcl_encoding.h"
#include "interpreter/tcl_error.h"
#include "interpreter/tcl_words.h"
#include "packages/tcl_provide.h"

enum { FIRST_LINE_MAX = 256 }; /* bytes of a shebang line that the kernel reads */

/* The state of one interpreter. */
struct wapp {
	Tcl_CmdInfo package;  /* the command `package` itself */
	Tcl_CmdInfo unknown;  /* the command `unknown` itself */
	Tcl_CmdInfo start;    /* the command `wapp-start` itself */
	bool watches_unknown; /* `unknown` is watched */
	bool loads;           /* an app is loading */
	bool renews;          /* the app has loaded wapp */
	Tcl_Obj *loaded;      /* ::wapp when the app had loaded; NULL: it was not set */
};

static bool is_wapptclsh(const char *word, size_t length);
static bool names_wapptclsh(const char *line);
static int require_all(Tcl_Interp *interp);
static void watch_unknown(struct wapp *wapp, Tcl_Interp *interp);
static int unknown_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static int package_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static bool means(const char *verb, int count, Tcl_Obj *const words[]);
static bool is_known(const struct wapp *wapp, Tcl_Interp *interp, const char *name);
static void look_beside_script(Tcl_Interp *interp);
static void watch_start(struct wapp *wapp, Tcl_Interp *interp);
static int start_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static struct wapp *find(Tcl_Interp *interp);
static void forget(void *data, Tcl_Interp *interp);

static const char association[] = "exthost wapp";

static const char wapp_hint[] =
    "wapp.tcl is not part of exthost: put it beside the script, or into a directory of "
    "tcl-path";
static const char sqlite_hint[] =
    "the package sqlite3 is not installed (in Debian: libsqlite3-tcl)";

static const char start_hint[] =
    "while an app loads there is no request, so wapp-start would start a web server: write "
    "\"# exthost: rerun\" instead of \"# exthost: app\"";

void tcl_wapp_watch(Tcl_Interp *interp)
{
	struct wapp *wapp = (struct wapp *)Tcl_Alloc(sizeof(*wapp));
	Tcl_CmdInfo ours;

	memset(wapp, 0, sizeof(*wapp));
	if (!Tcl_GetCommandInfo(interp, "::package", &wapp->package)) {
		Tcl_Free((void *)wapp);
		return;
	}
	Tcl_SetAssocData(interp, association, forget, wapp);
	ours = wapp->package;
	ours.objProc = package_command;
	ours.objClientData = wapp;
	Tcl_SetCommandInfo(interp, "::package", &ours);
}

int tcl_wapp_called(Tcl_Interp *interp, const char *name)
{
	return is_wapptclsh(name, strlen(name)) ? require_all(interp) : TCL_OK;
}

int tcl_wapp_begin(Tcl_Interp *interp, int source)
{
	char line[FIRST_LINE_MAX + 1];
	ssize_t size = pread(source, line, FIRST_LINE_MAX, 0);

	line[size > 0 ? size : 0] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return names_wapptclsh(line) ? require_all(interp) : TCL_OK;
}

/* True if the last element of this path is wapptclsh, perhaps with a version behind it. */
static bool is_wapptclsh(const char *word, size_t length)
{
	static const char name[] = "wapptclsh";
	const char *slash = memrchr(word, '/', length);
	const char *at = slash != NULL ? slash + 1 : word;

	length -= (size_t)(at - word);
	if (length < sizeof(name) - 1 || strncmp(at, name, sizeof(name) - 1) != 0)
		return false;
	for (size_t i = sizeof(name) - 1; i < length; i++)
		if (!isdigit((unsigned char)at[i]) && at[i] != '.')
			return false;
	return true;
}

/* "#! /usr/bin/wapptclsh", or with env, its options and assignments before it. */
static bool names_wapptclsh(const char *line)
{
	size_t length;

	if (strncmp(line, "#!", 2) != 0)
		return false;
	line += 2;
	line += strspn(line, " \t");
	length = strcspn(line, " \t");
	if ((length == 3 || (length > 3 && line[length - 4] == '/')) &&
	    strncmp(line + length - 3, "env", 3) == 0)
		do {
			line += length;
			line += strspn(line, " \t");
			length = strcspn(line, " \t");
		} while (length > 0 && (line[0] == '-' || memchr(line, '=', length) != NULL));
	return is_wapptclsh(line, length);
}

/* A missing package is reported when it is used. An error in wapp.tcl itself is one at once. */
static int require_all(Tcl_Interp *interp)
{
	struct wapp *wapp = find(interp);
	bool fresh = !tcl_encoding_has_begun(interp);
	int code = TCL_OK;

	if (wapp == NULL)
		return TCL_OK;
	watch_unknown(wapp, interp);
	tcl_words(interp, "package", "require", "sqlite3", NULL);
	if (tcl_words(interp, "package", "require", "wapp", NULL) != TCL_OK &&
	    is_known(wapp, interp, "wapp"))
		code = TCL_ERROR;
	else
		tcl_error_forget(interp);
	if (fresh)
		tcl_encoding_begin(interp);
	return code;
}

static void watch_unknown(struct wapp *wapp, Tcl_Interp *interp)
{
	Tcl_CmdInfo ours;

	if (wapp->watches_unknown || !Tcl_GetCommandInfo(interp, "::unknown", &wapp->unknown))
		return;
	wapp->watches_unknown = true;
	ours = wapp->unknown;
	ours.objProc = unknown_command;
	Tcl_SetCommandInfo(interp, "::unknown", &ours);
}

static const char *missing(const struct wapp *wapp, Tcl_Interp *interp, const char *command)
{
	command += strncmp(command, "::", 2) == 0 ? 2 : 0;
	if (strcmp(command, "sqlite3") == 0 && !is_known(wapp, interp, "sqlite3"))
		return sqlite_hint;
	if ((strcmp(command, "wapp") == 0 || strncmp(command, "wapp-", 5) == 0) &&
	    !is_known(wapp, interp, "wapp"))
		return wapp_hint;
	return NULL;
}

static int unknown_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	const struct wapp *wapp = find(interp);
	int code = wapp->unknown.objProc(data, interp, count, words);
	const char *name = code == TCL_ERROR && count > 1 ? Tcl_GetString(words[1]) : NULL;
	const char *hint = name != NULL ? missing(wapp, interp, name) : NULL;

	if (hint != NULL)
		Tcl_SetObjResult(interp, Tcl_ObjPrintf("no command \"%s\": %s", name, hint));
	return code;
}

static int package_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	struct wapp *wapp = data;
	const Tcl_CmdInfo *package = &wapp->package;
	bool wanted = means("require", count, words);
	int code;

	if (wanted && !is_known(wapp, interp, "wapp"))
		look_beside_script(interp);
	code = package->objProc(package->objClientData, interp, count, words);
	if (code == TCL_ERROR && wanted && !is_known(wapp, interp, "wapp"))
		Tcl_AppendResult(interp, "\n", wapp_hint, NULL);
	if (code == TCL_OK && count > 3 && means("provide", count, words))
		watch_start(wapp, interp);
	return code;
}

/*
 * `package require ?-exact? wapp ...`, `package provide wapp 1.0`. Tcl takes any prefix "r..." for
 * require and "pro..." for provide.
 */
static bool means(const char *verb, int count, Tcl_Obj *const words[])
{
	int name = count > 3 && strcmp(Tcl_GetString(words[2]), "-exact") == 0 ? 3 : 2;
	const char *given = count > name ? Tcl_GetString(words[1]) : "";

	return given[0] != '\0' && strncmp(given, verb, strlen(given)) == 0 &&
	       strcmp(Tcl_GetString(words[name]), "wapp") == 0;
}

/* Keeps the interpreter's result. */
static bool is_known(const struct wapp *wapp, Tcl_Interp *interp, const char *name)
{
	Tcl_InterpState state = Tcl_SaveInterpState(interp, TCL_OK);
	const Tcl_CmdInfo *package = &wapp->package;
	bool known = false;

	if (tcl_words_call(package, interp, "package", "versions", name, NULL) == TCL_OK)
		known = Tcl_GetStringResult(interp)[0] != '\0';
	if (!known && tcl_words_call(package, interp, "package", "provide", name, NULL) == TCL_OK)
		known = Tcl_GetStringResult(interp)[0] != '\0';
	Tcl_RestoreInterpState(interp, state);
	return known;
}

/* Only if argv0 is a script: at a prompt there is none. */
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

void tcl_wapp_load(Tcl_Interp *interp, bool begins)
{
	struct wapp *wapp = find(interp);

	if (wapp == NULL)
		return;
	wapp->loads = begins;
	if (!begins && wapp->renews) {
		wapp->loaded = Tcl_GetVar2Ex(interp, "wapp", NULL, TCL_GLOBAL_ONLY);
		if (wapp->loaded != NULL)
			Tcl_IncrRefCount(wapp->loaded);
	}
}

void tcl_wapp_renew(Tcl_Interp *interp)
{
	const struct wapp *wapp = find(interp);

	if (wapp == NULL || !wapp->renews)
		return;
	if (wapp->loaded != NULL)
		Tcl_SetVar2Ex(interp, "wapp", NULL, wapp->loaded, TCL_GLOBAL_ONLY);
	else
		Tcl_UnsetVar2(interp, "wapp", NULL, TCL_GLOBAL_ONLY);
}

static void watch_start(struct wapp *wapp, Tcl_Interp *interp)
{
	Tcl_CmdInfo ours;

	wapp->renews = true;
	if (!wapp->loads || !Tcl_GetCommandInfo(interp, "::wapp-start", &ours) ||
	    ours.objProc == start_command)
		return;
	wapp->start = ours;
	ours.objProc = start_command;
	Tcl_SetCommandInfo(interp, "::wapp-start", &ours);
}

static int start_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	const struct wapp *wapp = find(interp);

	if (!wapp->loads)
		return wapp->start.objProc(data, interp, count, words);
	Tcl_SetObjResult(interp, Tcl_NewStringObj(start_hint, -1));
	return TCL_ERROR;
}

static struct wapp *find(Tcl_Interp *interp)
{
	return Tcl_GetAssocData(interp, association, NULL);
}

static void forget(void *data, Tcl_Interp *interp)
{
	struct wapp *wapp = data;

	(void)interp;
	if (wapp->loaded != NULL)
		Tcl_DecrRefCount(wapp->loaded);
	Tcl_Free(data);
}
