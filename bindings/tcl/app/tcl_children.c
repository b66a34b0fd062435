/*
 * The standard channels in the interpreters that an app has made.
 *
 * Each interpreter has its own table of channels by name. An interpreter with standard channels has
 * those of the request in which it first used one. So when the channels are replaced, they are
 * replaced here too. A safe interpreter has none unless the app has shared them with it, and is
 * left without.
 */
#include "app/tcl_children.h"

#include "interpreter/tcl_words.h"

/*
 * A change to every child. channel, other and name: arguments of the public functions, NULL if
 * unused.
 */
struct change {
	void (*function)(Tcl_Interp *child, const struct change *change);
	Tcl_Channel channel, other;
	const char *name;
};

static void change_all(Tcl_Interp *interp, const struct change *change);
static void follow(Tcl_Interp *child, const struct change *change);
static void add(Tcl_Interp *child, const struct change *change);
static void take(Tcl_Interp *child, const struct change *change);

void tcl_children_follow(Tcl_Interp *interp, Tcl_Channel channel, const char *name)
{
	change_all(interp, &(struct change){.function = follow, .channel = channel, .name = name});
}

void tcl_children_add(Tcl_Interp *interp, Tcl_Channel channel, Tcl_Channel other)
{
	change_all(interp, &(struct change){.function = add, .channel = channel, .other = other});
}

void tcl_children_remove(Tcl_Interp *interp, Tcl_Channel channel)
{
	change_all(interp, &(struct change){.function = take, .channel = channel});
}

static void change_all(Tcl_Interp *interp, const struct change *change)
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
		change->function(child, change);
		change_all(child, change);
	}
	Tcl_DecrRefCount(children);
}

static void follow(Tcl_Interp *child, const struct change *change)
{
	Tcl_InterpState state = Tcl_SaveInterpState(child, TCL_OK);
	Tcl_Channel old = Tcl_GetChannel(child, change->name, NULL);

	if (old != NULL && old != change->channel) {
		Tcl_UnregisterChannel(child, old);
		Tcl_RegisterChannel(child, change->channel);
	}
	Tcl_RestoreInterpState(child, state);
}

static void add(Tcl_Interp *child, const struct change *change)
{
	if (Tcl_IsChannelRegistered(child, change->other))
		Tcl_RegisterChannel(child, change->channel);
}

static void take(Tcl_Interp *child, const struct change *change)
{
	if (Tcl_IsChannelRegistered(child, change->channel))
		Tcl_UnregisterChannel(child, change->channel);
}
