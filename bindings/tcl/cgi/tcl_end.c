/*
 * The end of a run: the end of tclsh, as far as anything of it can be seen.
 *
 * Whether the script calls `exit` or just ends, it reaches Tcl_Exit. Tcl_Exit runs the exit
 * handlers of the process and of the thread, flushes and closes the channels, finalizes the
 * notifier and the memory of the thread, and calls exit(3). In a run of 250 microseconds this takes
 * 170: the handlers are nearly always Tcl's own, and make the kernel copy 60 pages only to free
 * what is on them. So there are two ways.
 *
 * The short way flushes the channels and is done. It is taken if nothing else could be seen: no C
 * library is loaded but harmless ones, which have no handlers; there is no other interpreter; every
 * open channel is a file or a pipe with nothing stacked on it (closing a zlib stream writes); and
 * no channel ever waited for an event, as a channel does that was closed with output pending.
 *
 * The long way is Tcl_Exit's own, except that the end of the notifier, the first step after the
 * channels, is replaced by exit(3). That calls what libraries have registered, and last the handler
 * of this file, which calls binding_end.
 *
 * Tcl_Finalize, which also frees the interpreter, is no part of tclsh: what sqlite has open is
 * closed by the kernel here as there.
 */
#include "cgi/tcl_end.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/binding.h"
#include "interpreter/tcl_words.h"
#include "packages/tcl_packages.h"

static void note_panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void note_event(int descriptor, int mask, Tcl_FileProc *function, void *data);
static void note_status(void *status) __attribute__((noreturn));
static void note_early_exit(void);
static bool is_plain(Tcl_Interp *interp);
static bool has_libraries(Tcl_Interp *interp);
static bool has_children(Tcl_Interp *interp);
static bool has_other_channels(Tcl_Interp *interp, Tcl_Obj *names);
static void flush_channels(Tcl_Interp *interp, Tcl_Obj *names);
static void finish(void *notifier);
static void end_process(void);

/* C libraries that register no exit handlers, by their names in [info loaded]. */
static const char *const harmless[] = {"Sqlite3", "Tclsqlite", NULL};

/* libc and Tcl pass no data to these handlers. Written once in a process. */
static struct {
	Tcl_CmdInfo loaded;  /* the command [info loaded] */
	Tcl_CmdInfo interps; /* the command [interp] */
	struct binding_run *run;
	Tcl_Interp *interp;
	Tcl_ThreadId thread;
	pid_t process; /* the process of the run; a script may fork another */
	int status;
	bool known;  /* status is known; else something called exit(3) past Tcl */
	bool waited; /* a channel has waited for an event */
	enum { NO_APP, APP_LOADS, APP_LIVES } app;
	void (*failed)(void); /* the argument of tcl_end_prepare_app */
} ending;

int tcl_end_start(Tcl_Interp *interp)
{
	if (Tcl_GetCommandInfo(interp, "::tcl::info::loaded", &ending.loaded) &&
	    Tcl_GetCommandInfo(interp, "::interp", &ending.interps))
		return TCL_OK;
	Tcl_SetObjResult(interp, Tcl_NewStringObj("no command \"interp\"", -1));
	return TCL_ERROR;
}

int tcl_end_prepare(Tcl_Interp *interp, struct binding_run *run)
{
	Tcl_NotifierProcs notifier = {.createFileHandlerProc = note_event};

	ending.run = run;
	ending.interp = interp;
	ending.thread = Tcl_GetCurrentThread();
	ending.process = getpid();
	Tcl_SetNotifier(&notifier);
	Tcl_SetExitProc(note_status);
	Tcl_SetPanicProc(note_panic);
	return atexit(end_process) == 0 ? 0 : -1;
}

int tcl_end_prepare_app(Tcl_Interp *interp, struct binding_run *run, void (*failed)(void))
{
	ending.failed = failed;
	ending.app = APP_LOADS;
	return tcl_end_prepare(interp, run);
}

void tcl_end_move(Tcl_Interp *interp)
{
	ending.interp = interp;
}

void tcl_end_app_is_loaded(void)
{
	ending.app = APP_LIVES;
}

/* From the first event that is waited for, Tcl's own function is in charge again. */
static void note_event(int descriptor, int mask, Tcl_FileProc *function, void *data)
{
	Tcl_NotifierProcs none = {.createFileHandlerProc = NULL};

	ending.waited = true;
	Tcl_SetNotifier(&none);
	Tcl_CreateFileHandler(descriptor, mask, function, data);
}

/* Tcl cannot go on, nearly always for lack of memory: print its message, and abort. */
static void note_panic(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n");
	if (strncmp(format, "unable to ", 10) == 0)
		binding_no_memory(ending.run);
	abort();
}

/* Tcl_Exit calls this instead of ending. Called again, it ends as in tclsh. */
static void note_status(void *status)
{
	Tcl_NotifierProcs notifier = {.finalizeNotifierProc = finish};
	bool ours = Tcl_GetCurrentThread() == ending.thread && !Tcl_InterpDeleted(ending.interp);

	ending.status = (int)(intptr_t)status;
	ending.known = true;
	if (getpid() == ending.process && ending.app == APP_LOADS)
		note_early_exit();
	if (ending.app != NO_APP && ending.status != EXIT_SUCCESS)
		ending.failed();
	if (ours && getpid() == ending.process && ending.app == NO_APP)
		tcl_packages_notice(ending.interp, ending.run);
	if (ours && !ending.waited && is_plain(ending.interp))
		end_process();
	Tcl_SetNotifier(&notifier);
	Tcl_SetExitProc(NULL);
	Tcl_Exit(ending.status);
	abort();
}

/* An app that exits while it loads has failed, whatever its status. */
static void note_early_exit(void)
{
	dprintf(STDERR_FILENO, "%s: it calls exit while it is loaded\n", ending.run->script);
	if (ending.status == EXIT_SUCCESS)
		ending.status = EXIT_FAILURE;
}

/* True if the short way can be taken. The channels are flushed then. */
static bool is_plain(Tcl_Interp *interp)
{
	Tcl_Obj *names;
	bool plain;

	if (has_libraries(interp) || has_children(interp))
		return false;
	Tcl_ResetResult(interp);
	if (Tcl_GetChannelNames(interp) != TCL_OK)
		return false;
	names = Tcl_GetObjResult(interp);
	Tcl_IncrRefCount(names);
	plain = !has_other_channels(interp, names);
	if (plain)
		flush_channels(interp, names);
	Tcl_DecrRefCount(names);
	return plain;
}

/*
 * True if a library is loaded into any interpreter, even a deleted one. [info loaded] is a list of
 * {file name}.
 */
static bool has_libraries(Tcl_Interp *interp)
{
	Tcl_Obj **libraries;
	Tcl_Size count;

	if (tcl_words_call(&ending.loaded, interp, "loaded", NULL) != TCL_OK ||
	    Tcl_ListObjGetElements(NULL, Tcl_GetObjResult(interp), &count, &libraries) != TCL_OK)
		return true;
	for (Tcl_Size i = 0; i < count; i++) {
		Tcl_Obj *name = NULL;
		size_t j = 0;

		if (Tcl_ListObjIndex(NULL, libraries[i], 1, &name) != TCL_OK || name == NULL)
			return true;
		while (harmless[j] != NULL && strcmp(Tcl_GetString(name), harmless[j]) != 0)
			j++;
		if (harmless[j] == NULL)
			return true;
	}
	return false;
}

static bool has_children(Tcl_Interp *interp)
{
	return tcl_words_call(&ending.interps, interp, "interp", "slaves", NULL) != TCL_OK ||
	       Tcl_GetStringResult(interp)[0] != '\0';
}

static bool has_other_channels(Tcl_Interp *interp, Tcl_Obj *names)
{
	Tcl_Obj **name;
	Tcl_Size count;

	if (Tcl_ListObjGetElements(NULL, names, &count, &name) != TCL_OK)
		return true;
	for (Tcl_Size i = 0; i < count; i++) {
		Tcl_Channel channel = Tcl_GetChannel(interp, Tcl_GetString(name[i]), NULL);
		const char *type;

		if (channel == NULL || Tcl_GetTopChannel(channel) != channel)
			return true;
		type = Tcl_ChannelName(Tcl_GetChannelType(channel));
		if (strcmp(type, "file") != 0 && strcmp(type, "pipe") != 0)
			return true;
	}
	return false;
}

/* As in tclsh, what cannot be written is lost without a message. */
static void flush_channels(Tcl_Interp *interp, Tcl_Obj *names)
{
	Tcl_Obj **name;
	Tcl_Size count;
	Tcl_Channel channel;

	if (Tcl_ListObjGetElements(NULL, names, &count, &name) != TCL_OK)
		return;
	for (Tcl_Size i = 0; i < count; i++) {
		channel = Tcl_GetChannel(interp, Tcl_GetString(name[i]), NULL);
		if (channel != NULL && (Tcl_GetChannelMode(channel) & TCL_WRITABLE) != 0)
			Tcl_Flush(channel);
	}
}

static void finish(void *notifier)
{
	(void)notifier;
	if (Tcl_GetCurrentThread() == ending.thread)
		exit(ending.status);
}

/* exit(3) would flush the C library's files only after this. */
static void end_process(void)
{
	fflush(NULL);
	if (ending.known)
		binding_end(ending.run, ending.status);
}
