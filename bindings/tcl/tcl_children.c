/*
 * Interpreters that an app has made and keeps. Each has its own table of channels, by name, and one
 * that has the standard channels has those of the request in which it first used one; so when they
 * are replaced, they are here too. A safe interpreter has none unless the app has shared them, and
 * is left without.
 */
#include "tcl_app.h"

static void follow(Tcl_Interp *child, Tcl_Channel channel, const char *name);

void tcl_children_follow(Tcl_Interp *interp, Tcl_Channel channel, const char *name)
{
	Tcl_Obj *children;
	Tcl_Obj **names;
	Tcl_Size count;

	if (tcl_words(interp, "::interp", "children", NULL) != TCL_OK)
		return;
	children = Tcl_GetObjResult(interp);
	Tcl_IncrRefCount(children);
	if (Tcl_ListObjGetElements(NULL, children, &count, &names) != TCL_OK)
		count = 0;
	for (Tcl_Size i = 0; i < count; i++) {
		Tcl_Interp *child = Tcl_GetChild(interp, Tcl_GetString(names[i]));

		if (child == NULL)
			continue;
		follow(child, channel, name);
		tcl_children_follow(child, channel, name);
	}
	Tcl_DecrRefCount(children);
}

static void follow(Tcl_Interp *child, Tcl_Channel channel, const char *name)
{
	Tcl_InterpState state = Tcl_SaveInterpState(child, TCL_OK);
	Tcl_Channel old = Tcl_GetChannel(child, name, NULL);

	if (old != NULL && old != channel) {
		Tcl_UnregisterChannel(child, old);
		Tcl_RegisterChannel(child, channel);
	}
	Tcl_RestoreInterpState(child, state);
}
