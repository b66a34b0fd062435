/*
 * The files that an app is made of.
 *
 * Every way to load code by its path ends in one of two commands: `source` (packages, modules,
 * auto_load, indexes) or `load` (C libraries). So these two are watched from inside. They stay as a
 * script knows them, and report each file before they load it, so that a file with a mistake in it
 * and a missing file are reported too. A file that is read with `open` and evaluated looks like
 * data.
 *
 * The price: in an app, `yield` cannot be called across a `source`.
 */
#include "app/tcl_depends.h"

#include <stdbool.h>
#include <string.h>

#include "host/binding.h"

struct watched {
	Tcl_CmdInfo command; /* the command `source` or `load` itself */
	struct binding_app *app;
	bool is_last; /* the path is the last word; else the first that is no option */
};

static void watch(Tcl_Interp *interp, struct binding_app *app, const char *name, bool is_last);
static int watched_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static void report(struct binding_app *app, Tcl_Interp *interp, Tcl_Obj *path);
static void forget(void *data, Tcl_Interp *interp);

void tcl_depends_watch(Tcl_Interp *interp, struct binding_app *app)
{
	watch(interp, app, "::source", true);
	watch(interp, app, "::load", false);
}

static void watch(Tcl_Interp *interp, struct binding_app *app, const char *name, bool is_last)
{
	struct watched *watched = (struct watched *)Tcl_Alloc(sizeof(*watched));
	Tcl_CmdInfo ours;

	*watched = (struct watched){.app = app, .is_last = is_last};
	if (!Tcl_GetCommandInfo(interp, name, &watched->command)) {
		Tcl_Free((void *)watched);
		return;
	}
	Tcl_SetAssocData(interp, name, forget, watched);
	ours = watched->command;
	ours.objProc = watched_command;
	ours.objClientData = watched;
	Tcl_SetCommandInfo(interp, name, &ours);
}

static int watched_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	const struct watched *watched = data;
	int i = watched->is_last ? count - 1 : 1;

	while (!watched->is_last && i < count && Tcl_GetString(words[i])[0] == '-')
		i++;
	if (i > 0 && i < count)
		report(watched->app, interp, words[i]);
	return watched->command.objProc(watched->command.objClientData, interp, count, words);
}

static void report(struct binding_app *app, Tcl_Interp *interp, Tcl_Obj *path)
{
	Tcl_Obj *normal = Tcl_FSGetNormalizedPath(interp, path);
	const char *native = normal != NULL ? Tcl_FSGetNativePath(normal) : NULL;

	if (native != NULL)
		binding_depends(app, native);
	Tcl_ResetResult(interp);
}

static void forget(void *data, Tcl_Interp *interp)
{
	(void)interp;
	Tcl_Free(data);
}
