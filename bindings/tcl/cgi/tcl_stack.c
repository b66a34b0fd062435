/*
 * The stack of a running script, for the host's log.
 *
 * The host asks for it in a signal handler, and Tcl can give it only between two commands. There
 * Tcl calls an asynchronous handler (Tcl_AsyncCreate(3)): in a loop, in `after` and in `vwait`
 * alike. A script that stays in one command (a read from a pipe, an endless regular expression)
 * never gets there, and its stack is not written.
 */
#include "cgi/tcl_stack.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/binding.h"
#include "interpreter/tcl_words.h"

enum { LEVELS_MAX = 50, WORDS_MAX = 200 };

static int write_stack(void *nothing, Tcl_Interp *asked, int code);
static void write_level(Tcl_Interp *interp, int file, int level);

/* Tcl passes no data of a signal to an asynchronous handler. Written once in a process. */
static struct {
	Tcl_AsyncHandler handler;
	Tcl_Interp *interp;
	struct binding_run *run;
	int file;
} stack;

void tcl_stack_start(Tcl_Interp *interp)
{
	stack.interp = interp;
	stack.handler = Tcl_AsyncCreate(write_stack, NULL);
}

void tcl_stack_move(Tcl_Interp *interp)
{
	stack.interp = interp;
}

bool tcl_stack(struct binding_run *run, int file)
{
	stack.run = run;
	stack.file = file;
	Tcl_AsyncMark(stack.handler);
	return false;
}

/* As in a traceback of Tcl's: the innermost command first. */
static int write_stack(void *nothing, Tcl_Interp *asked, int code)
{
	Tcl_InterpState state;
	int levels = 0;

	(void)nothing;
	(void)asked; /* may be NULL or another interpreter */
	if (!Tcl_InterpDeleted(stack.interp)) {
		state = Tcl_SaveInterpState(stack.interp, code);
		/*
		 * [info frame] needs a frame to look at, so this evaluates a command, whose frame
		 * is not counted.
		 */
		if (Tcl_EvalEx(stack.interp, "::info frame", -1, TCL_EVAL_GLOBAL) == TCL_OK &&
		    Tcl_GetIntFromObj(NULL, Tcl_GetObjResult(stack.interp), &levels) == TCL_OK)
			levels--;
		for (int level = levels; level > 0 && level > levels - LEVELS_MAX; level--)
			write_level(stack.interp, stack.file, level);
		Tcl_RestoreInterpState(stack.interp, state);
	}
	binding_stack_done(stack.run, stack.file);
	return code;
}

static const char *word(Tcl_Obj *frame, const char *name)
{
	Tcl_Obj *key = Tcl_NewStringObj(name, -1);
	Tcl_Obj *value = NULL;

	Tcl_IncrRefCount(key);
	if (Tcl_DictObjGet(NULL, frame, key, &value) != TCL_OK)
		value = NULL;
	Tcl_DecrRefCount(key);
	return value != NULL ? Tcl_GetString(value) : "";
}

/* Write one level: its place, and the beginning of its command, on one line. */
static void write_level(Tcl_Interp *interp, int file, int level)
{
	char number[16], command[WORDS_MAX + 1];
	Tcl_Obj *frame;
	const char *place;

	snprintf(number, sizeof(number), "%d", level);
	if (tcl_words(interp, "::info", "frame", number, NULL) != TCL_OK)
		return;
	frame = Tcl_GetObjResult(interp);
	Tcl_IncrRefCount(frame);
	snprintf(command, sizeof(command), "%s", word(frame, "cmd"));
	command[strcspn(command, "\n")] = '\0';
	place = word(frame, "file");
	if (place[0] == '\0')
		place = word(frame, "proc");
	dprintf(file, "  %s line %s: %s\n", place[0] != '\0' ? place : word(frame, "type"),
	    word(frame, "line"), command);
	Tcl_DecrRefCount(frame);
}
