/*
 * Which request a callback belongs to, and so whether its stdout is a reply or the log.
 *
 * Timers and event handlers outlive the request that made them, and run whenever the app waits:
 * also in another user's request, where `puts` would find that request's stdout. So while a request
 * waits (vwait, update), the name stdout means the log, as it does between requests. Only the
 * request's own callbacks get their stdout back while they run.
 *
 * A callback is marked when it is made: a script given to `after`, `fileevent` or `chan event`, or
 * as a callback to `chan copy` or `socket -server`, gets the number of its request in front of it;
 * 0: no request's. Scripts do not see that: `after info`, `after cancel` and `fileevent` know the
 * text that was given. Where an extension waits by itself, as Expect does, stdout is hidden while a
 * callback of another request runs. A callback of any other kind belongs to no request, and writes
 * to the log.
 *
 * All of this also holds in the interpreters that the app makes.
 *
 * The channel itself is not touched: a `chan copy` in the background, which has it, goes on.
 */
#include "app/tcl_events.h"

#include <stdbool.h>
#include <string.h>

#include "app/tcl_channel.h"

#define COMMAND "::exthost::of_request"

/* A command of Tcl's, and the function that replaces its own. */
struct command {
	const char *name;
	Tcl_ObjCmdProc *function;
	Tcl_CmdInfo original;
};

static int wait_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static int after_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static int event_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static int option_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static int interp_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static int run_marked(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);

static struct command commands[] = {
    {.name = "::vwait", .function = wait_command},
    {.name = "::update", .function = wait_command},
    {.name = "::after", .function = after_command},
    {.name = "::fileevent", .function = event_command},
    {.name = "::tcl::chan::event", .function = event_command},
    {.name = "::fcopy", .function = option_command},
    {.name = "::tcl::chan::copy", .function = option_command},
    {.name = "::socket", .function = option_command},
    {.name = "::interp", .function = interp_command},
};

static struct {
	Tcl_Interp *interp;  /* the app's interpreter */
	Tcl_WideInt last;    /* the number of the last request */
	Tcl_WideInt request; /* the number of the present request; 0: none */
} events;

int tcl_events_watch(Tcl_Interp *interp)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct command *command = &commands[i];
		Tcl_CmdInfo ours;

		if (!Tcl_GetCommandInfo(interp, command->name, &command->original))
			return TCL_ERROR;
		ours = command->original;
		ours.objProc = command->function;
		ours.objClientData = command;
		Tcl_SetCommandInfo(interp, command->name, &ours);
	}
	events.interp = interp;
	Tcl_CreateObjCommand(interp, COMMAND, run_marked, NULL, NULL);
	return TCL_OK;
}

/* The same in a child interpreter. A safe one lacks some of the commands. */
static void watch_child(Tcl_Interp *child)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct command *command = &commands[i];
		Tcl_CmdInfo theirs;

		if (!Tcl_GetCommandInfo(child, command->name, &theirs) ||
		    theirs.objProc != command->original.objProc ||
		    theirs.objClientData != command->original.objClientData)
			continue;
		theirs.objProc = command->function;
		theirs.objClientData = command;
		Tcl_SetCommandInfo(child, command->name, &theirs);
	}
	Tcl_CreateObjCommand(child, COMMAND, run_marked, NULL, NULL);
}

void tcl_events_begin(void)
{
	events.request = ++events.last;
}

void tcl_events_end(void)
{
	events.request = 0;
}

static int call_original(
    const struct command *command, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	return command->original.objProc(command->original.objClientData, interp, count, words);
}

/* vwait, update */
static int wait_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	bool hidden = events.request != 0 && tcl_channel_hide(events.interp);
	int code = call_original(data, interp, count, words);

	if (hidden)
		tcl_channel_show(events.interp);
	return code;
}

/* interp create: the result is the new interpreter's name */
static int interp_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	int code = call_original(data, interp, count, words);
	const char *word = count > 1 ? Tcl_GetString(words[1]) : "";
	Tcl_Interp *child = NULL;

	if (code == TCL_OK && strlen(word) > 1 && strncmp("create", word, strlen(word)) == 0)
		child = Tcl_GetChild(interp, Tcl_GetStringResult(interp));
	if (child != NULL)
		watch_child(child);
	return code;
}

/* True if a callback made now is the request's: one made in another request's callback is not. */
static bool is_request(void)
{
	return events.request != 0 && !tcl_channel_is_hidden();
}

/* Put the mark in front of a script. A new object without a reference. */
static Tcl_Obj *mark(Tcl_Obj *script)
{
	Tcl_Obj *words[] = {Tcl_NewStringObj(COMMAND, -1),
	    Tcl_NewWideIntObj(is_request() ? events.request : 0), script};

	return Tcl_NewListObj(3, words);
}

/* The script as it was given, which lives as long as the marked one; NULL: it has no mark. */
static Tcl_Obj *given_script(Tcl_Obj *script)
{
	Tcl_Obj **words;
	Tcl_Size count;

	if (strncmp(Tcl_GetString(script), COMMAND " ", sizeof(COMMAND)) != 0 ||
	    Tcl_ListObjGetElements(NULL, script, &count, &words) != TCL_OK || count != 3)
		return NULL;
	return words[2];
}

/* Call the original with the first count words, one of them replaced. */
static int call_with(const struct command *command, Tcl_Interp *interp, int count,
    Tcl_Obj *const words[], int place, Tcl_Obj *word)
{
	Tcl_Obj **copy = (Tcl_Obj **)Tcl_Alloc((size_t)count * sizeof(*copy));
	int code;

	memcpy(copy, words, (size_t)count * sizeof(*copy));
	copy[place] = word;
	Tcl_IncrRefCount(word);
	code = call_original(command, interp, count, copy);
	Tcl_DecrRefCount(word);
	Tcl_Free((void *)copy);
	return code;
}

/* The script made of these words, as `after` joins them. A new reference. */
static Tcl_Obj *join(int count, Tcl_Obj *const words[])
{
	Tcl_Obj *script = count == 1 ? words[0] : Tcl_ConcatObj(count, words);

	Tcl_IncrRefCount(script);
	return script;
}

/* after MS SCRIPT..., after idle SCRIPT... */
static int after_later(
    const struct command *command, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *script;
	int code;

	script = join(count - 2, words + 2);
	code = call_with(command, interp, 3, words, 2, mark(script));
	Tcl_DecrRefCount(script);
	return code;
}

/* The script of a timer, if it has a mark; else NULL. A new reference. */
static Tcl_Obj *script_of_timer(
    const struct command *command, Tcl_Interp *interp, Tcl_Obj *const words[], Tcl_Obj *id)
{
	Tcl_Obj *info = Tcl_NewStringObj("info", -1);
	Tcl_Obj *ask[] = {words[0], info, id};
	Tcl_Obj *script = NULL;

	Tcl_IncrRefCount(info);
	if (call_original(command, interp, 3, ask) == TCL_OK)
		Tcl_ListObjIndex(NULL, Tcl_GetObjResult(interp), 0, &script);
	if (script != NULL)
		script = given_script(script);
	if (script != NULL)
		Tcl_IncrRefCount(script);
	Tcl_DecrRefCount(info);
	Tcl_ResetResult(interp);
	return script;
}

/* The marked timer with this script, or NULL. A new reference. */
static Tcl_Obj *find_timer(
    const struct command *command, Tcl_Interp *interp, Tcl_Obj *const words[], Tcl_Obj *script)
{
	Tcl_Obj *ask[] = {words[0], Tcl_NewStringObj("info", -1)};
	Tcl_Obj *list = NULL, *found = NULL;
	Tcl_Obj **ids;
	Tcl_Size count = 0;

	Tcl_IncrRefCount(ask[1]);
	if (call_original(command, interp, 2, ask) == TCL_OK)
		list = Tcl_GetObjResult(interp);
	Tcl_DecrRefCount(ask[1]);
	if (list == NULL)
		return NULL;
	Tcl_IncrRefCount(list);
	if (Tcl_ListObjGetElements(NULL, list, &count, &ids) != TCL_OK)
		count = 0;
	for (Tcl_Size i = 0; i < count && found == NULL; i++) {
		Tcl_Obj *other = script_of_timer(command, interp, words, ids[i]);

		if (other != NULL && strcmp(Tcl_GetString(other), Tcl_GetString(script)) == 0)
			found = ids[i];
		if (other != NULL)
			Tcl_DecrRefCount(other);
	}
	if (found != NULL)
		Tcl_IncrRefCount(found);
	Tcl_DecrRefCount(list);
	return found;
}

/* after cancel ID, after cancel SCRIPT... */
static int after_cancel(
    const struct command *command, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *script = join(count - 2, words + 2);
	Tcl_Obj *id = find_timer(command, interp, words, script);
	int code;

	Tcl_ResetResult(interp);
	if (id != NULL)
		code = call_with(command, interp, 3, words, 2, id);
	else
		code = call_original(command, interp, count, words);
	if (id != NULL)
		Tcl_DecrRefCount(id);
	Tcl_DecrRefCount(script);
	return code;
}

/* after info ID */
static int after_info(
    const struct command *command, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	int code = call_original(command, interp, count, words);
	Tcl_Obj **parts;
	Tcl_Size parts_count;
	Tcl_Obj *given;

	if (code != TCL_OK ||
	    Tcl_ListObjGetElements(NULL, Tcl_GetObjResult(interp), &parts_count, &parts) !=
		TCL_OK ||
	    parts_count != 2)
		return code;
	given = given_script(parts[0]);
	if (given != NULL) {
		Tcl_Obj *both[] = {given, parts[1]};

		Tcl_SetObjResult(interp, Tcl_NewListObj(2, both));
	}
	return code;
}

static int after_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	static const char *const names[] = {"cancel", "idle", "info", NULL};
	enum { CANCEL, IDLE, INFO };
	Tcl_WideInt time;
	int what;

	if (count < 3)
		return call_original(data, interp, count, words);
	if (Tcl_GetWideIntFromObj(NULL, words[1], &time) == TCL_OK)
		return after_later(data, interp, count, words);
	if (Tcl_GetIndexFromObj(NULL, words[1], names, "", 0, &what) != TCL_OK)
		return call_original(data, interp, count, words);
	switch (what) {
	case CANCEL: return after_cancel(data, interp, count, words);
	case INFO: return after_info(data, interp, count, words);
	default: return after_later(data, interp, count, words);
	}
}

/* fileevent CHANNEL EVENT ?SCRIPT? */
static int event_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *given;
	int code;

	/* An empty script removes the handler. */
	if (count == 4 && Tcl_GetString(words[3])[0] != '\0')
		return call_with(data, interp, count, words, 3, mark(words[3]));
	code = call_original(data, interp, count, words);
	given = code == TCL_OK && count == 3 ? given_script(Tcl_GetObjResult(interp)) : NULL;
	if (given != NULL)
		Tcl_SetObjResult(interp, given);
	return code;
}

/* chan copy ... -command PREFIX, socket -server PREFIX ... */
static int option_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	for (int i = 1; i + 1 < count; i++) {
		const char *word = Tcl_GetString(words[i]);
		size_t size = strlen(word);

		if (size > 2 &&
		    (strncmp("-command", word, size) == 0 || strncmp("-server", word, size) == 0))
			return call_with(data, interp, count, words, i + 1, mark(words[i + 1]));
	}
	return call_original(data, interp, count, words);
}

/* The script, followed by the words that the caller of a callback appended. A new reference. */
static Tcl_Obj *with_arguments(Tcl_Obj *script, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *whole = count > 0 ? Tcl_DuplicateObj(script) : script;

	Tcl_IncrRefCount(whole);
	for (int i = 0; i < count; i++)
		if (Tcl_ListObjAppendElement(NULL, whole, words[i]) != TCL_OK)
			Tcl_AppendStringsToObj(whole, " ", Tcl_GetString(words[i]), NULL);
	return whole;
}

/* COMMAND NUMBER SCRIPT ?ARGUMENT...? */
static int run_marked(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_WideInt request;
	Tcl_Obj *script;
	bool shown, hidden;
	int code;

	(void)data;
	if (count < 3 || Tcl_GetWideIntFromObj(interp, words[1], &request) != TCL_OK) {
		Tcl_WrongNumArgs(interp, 1, words, "number script");
		return TCL_ERROR;
	}
	script = with_arguments(words[2], count - 3, words + 3);
	shown = request == events.request && tcl_channel_is_hidden();
	hidden =
	    request != events.request && events.request != 0 && tcl_channel_hide(events.interp);
	if (shown)
		tcl_channel_show(events.interp);
	code = Tcl_EvalObjEx(interp, script, TCL_EVAL_GLOBAL);
	if (shown)
		tcl_channel_hide(events.interp);
	if (hidden)
		tcl_channel_show(events.interp);
	Tcl_DecrRefCount(script);
	return code;
}
