/*
 * The index of installed packages: Tcl's `package unknown`, in two halves.
 *
 * Tcl's own tclPkgUnknown reads the index files of all directories on auto_path, every time. Here
 * it still reads, under another name, with only those directories on auto_path that must be read. A
 * command of this file with its name decides which. An interpreter that shares another's index
 * (tcl_index_share) gets Tcl's half when it first needs it.
 *
 * Directories that were read in the template are not read again as long as their time of change is
 * the same: installing a package makes a new directory in one of them. This matters most for
 * packages that are not there: half of tcllib tests whether tcllibc is installed.
 */
#include "packages/tcl_index.h"

#include <string.h>
#include <sys/stat.h>

#include "interpreter/tcl_words.h"
#include "packages/tcl_index_query.h"

static void look_for_modules(
    struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static Tcl_Obj *unread_directories(struct tcl_index *index, Tcl_Interp *interp);
static int read_directories(
    struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *directories, const char *name);
static void mark_directories(struct tcl_index *index, Tcl_Interp *interp);
static bool is_changed(Tcl_Obj *directory, Tcl_Obj *mark);
static void restore_path(Tcl_Interp *interp, Tcl_Obj *old, Tcl_Size given);
static void note_installed(struct tcl_index *index, Tcl_Interp *interp);
static void need_reader(struct tcl_index *index, Tcl_Interp *interp);
static void declare(struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name);
static Tcl_WideInt change_time(Tcl_Obj *directory);
static Tcl_Obj *new_dictionary(void);

int tcl_index_start(struct tcl_index *index, Tcl_Interp *interp)
{
	Tcl_Obj *path = Tcl_GetVar2Ex(interp, "auto_path", NULL, TCL_GLOBAL_ONLY);

	index->scanned = new_dictionary();
	index->installed = new_dictionary();
	tcl_words(interp, "::tcl::tm::path", "list", NULL);
	index->modules = Tcl_GetObjResult(interp);
	Tcl_IncrRefCount(index->modules);
	Tcl_IncrRefCount(path);
	/* For an unknown name Tcl reads everything. */
	tcl_words(interp, "package", "require", "exthost-no-such-package", NULL);
	mark_directories(index, interp);
	Tcl_SetVar2Ex(interp, "auto_path", NULL, path, TCL_GLOBAL_ONLY);
	Tcl_DecrRefCount(path);
	note_installed(index, interp);
	if (tcl_words(interp, "rename", "::tclPkgUnknown", TCL_INDEX_READER, NULL) != TCL_OK)
		return TCL_ERROR;
	Tcl_CreateObjCommand(interp, "::tclPkgUnknown", tcl_index_unknown, index, NULL);
	index->has_reader = true;
	return TCL_OK;
}

void tcl_index_first_look(
    struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *directories;

	if (index->shared && count > 0)
		declare(index, interp, words[0]);
	if (index->looked)
		return;
	index->looked = true;
	look_for_modules(index, interp, count, words);
	directories = unread_directories(index, interp);
	if (directories != NULL)
		read_directories(index, interp, directories, "");
	Tcl_ResetResult(interp);
}

/*
 * Modules (*.tm) have a path of their own. Tcl's handler for them searches all of it, and before
 * that calls the command that it is given; `list` does nothing.
 */
static void look_for_modules(
    struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *command;
	Tcl_Obj *handler[2];

	/* An interpreter that shares the index has no module path until the script adds to it. */
	if (Tcl_FindCommand(interp, "::tcl::tm::path", NULL, TCL_GLOBAL_ONLY) == NULL ||
	    tcl_words(interp, "::tcl::tm::path", "list", NULL) != TCL_OK ||
	    strcmp(Tcl_GetStringResult(interp), Tcl_GetString(index->modules)) == 0)
		return;
	handler[0] = Tcl_NewStringObj("::tcl::tm::UnknownHandler", -1);
	handler[1] = Tcl_NewStringObj("list", -1);
	command = Tcl_NewListObj(count, words);
	Tcl_ListObjReplace(NULL, command, 0, 0, 2, handler);
	Tcl_IncrRefCount(command);
	Tcl_EvalObjEx(interp, command, TCL_EVAL_GLOBAL);
	Tcl_DecrRefCount(command);
}

int tcl_index_unknown(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	struct tcl_index *index = data;
	const char *name = count > 1 ? Tcl_GetString(words[1]) : "";
	Tcl_Obj *directories = unread_directories(index, interp);

	index->looked = true;
	if (index->shared && count > 1) {
		declare(index, interp, words[1]);
		look_for_modules(index, interp, count - 1, words + 1);
	}
	return directories == NULL ? TCL_OK : read_directories(index, interp, directories, name);
}

/*
 * A new list without a reference; NULL: every directory on auto_path was read in its present state.
 */
static Tcl_Obj *unread_directories(struct tcl_index *index, Tcl_Interp *interp)
{
	Tcl_Obj *path = Tcl_GetVar2Ex(interp, "auto_path", NULL, TCL_GLOBAL_ONLY);
	Tcl_Obj *directories = NULL;
	Tcl_Obj **elements;
	Tcl_Obj *mark;
	Tcl_Size count;

	if (path == NULL || Tcl_ListObjGetElements(NULL, path, &count, &elements) != TCL_OK)
		return NULL;
	for (Tcl_Size i = 0; i < count; i++) {
		if (Tcl_DictObjGet(NULL, index->scanned, elements[i], &mark) != TCL_OK ||
		    (mark != NULL && !is_changed(elements[i], mark)))
			continue;
		if (directories == NULL)
			directories = Tcl_NewListObj(0, NULL);
		Tcl_ListObjAppendElement(NULL, directories, elements[i]);
	}
	return directories;
}

/*
 * Read the index of these directories, and release the list. An index may add to auto_path; that is
 * read too, and stays there.
 */
static int read_directories(
    struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *directories, const char *name)
{
	Tcl_Obj *old = Tcl_GetVar2Ex(interp, "auto_path", NULL, TCL_GLOBAL_ONLY);
	Tcl_Size count;
	int code;

	Tcl_ListObjLength(NULL, directories, &count);
	need_reader(index, interp);
	Tcl_IncrRefCount(old);
	Tcl_SetVar2Ex(interp, "auto_path", NULL, directories, TCL_GLOBAL_ONLY);
	code = tcl_words(interp, TCL_INDEX_READER, name, NULL);
	mark_directories(index, interp);
	restore_path(interp, old, count);
	Tcl_DecrRefCount(old);
	return code;
}

static void mark_directories(struct tcl_index *index, Tcl_Interp *interp)
{
	Tcl_Obj *path = Tcl_GetVar2Ex(interp, "auto_path", NULL, TCL_GLOBAL_ONLY);
	Tcl_Obj **elements;
	Tcl_Size count;

	if (path == NULL || Tcl_ListObjGetElements(NULL, path, &count, &elements) != TCL_OK)
		return;
	for (Tcl_Size i = 0; i < count; i++)
		Tcl_DictObjPut(
		    NULL, index->scanned, elements[i], Tcl_NewWideIntObj(change_time(elements[i])));
}

static bool is_changed(Tcl_Obj *directory, Tcl_Obj *mark)
{
	Tcl_WideInt time;

	return Tcl_GetWideIntFromObj(NULL, mark, &time) != TCL_OK || time != change_time(directory);
}

/* Restore auto_path, and append what the reading has added to it. */
static void restore_path(Tcl_Interp *interp, Tcl_Obj *old, Tcl_Size given)
{
	Tcl_Obj *path = Tcl_GetVar2Ex(interp, "auto_path", NULL, TCL_GLOBAL_ONLY);
	Tcl_Obj *whole = Tcl_DuplicateObj(old);
	Tcl_Obj **elements;
	Tcl_Size count;

	if (path != NULL && Tcl_ListObjGetElements(NULL, path, &count, &elements) == TCL_OK)
		for (Tcl_Size i = given; i < count; i++)
			Tcl_ListObjAppendElement(NULL, whole, elements[i]);
	Tcl_SetVar2Ex(interp, "auto_path", NULL, whole, TCL_GLOBAL_ONLY);
}

static void note_installed(struct tcl_index *index, Tcl_Interp *interp)
{
	Tcl_Obj *names = tcl_index_ask(index, interp, "names", NULL, NULL);
	Tcl_Obj **name;
	Tcl_Size count = 0;

	Tcl_ListObjGetElements(NULL, names, &count, &name);
	for (Tcl_Size i = 0; i < count; i++) {
		Tcl_Obj *versions =
		    tcl_index_ask(index, interp, "versions", Tcl_GetString(name[i]), NULL);
		Tcl_Obj **version;
		Tcl_Size known = 0;

		Tcl_ListObjGetElements(NULL, versions, &known, &version);
		for (Tcl_Size j = 0; j < known; j++) {
			Tcl_Obj *pair[2] = {name[i], version[j]};
			Tcl_Obj *script = tcl_index_ask(index, interp, "ifneeded",
			    Tcl_GetString(name[i]), Tcl_GetString(version[j]));

			Tcl_DictObjPut(NULL, index->installed, Tcl_NewListObj(2, pair), script);
			Tcl_DecrRefCount(script);
		}
		Tcl_DecrRefCount(versions);
	}
	Tcl_DecrRefCount(names);
}

/*
 * Declare to `package` what a shared index has of this name. What is declared already stays: the
 * script's own directories win.
 */
static void declare(struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name)
{
	const char *text = Tcl_GetString(name);
	Tcl_DictSearch search;
	Tcl_Obj *versions = NULL;
	Tcl_Obj *version;
	Tcl_Obj *script;
	int done;

	if (Tcl_DictObjGet(NULL, index->versions, name, &versions) != TCL_OK || versions == NULL)
		return;
	Tcl_DictObjFirst(NULL, versions, &search, &version, &script, &done);
	for (; !done; Tcl_DictObjNext(&search, &version, &script, &done)) {
		tcl_words_call(&index->package, interp, "package", "ifneeded", text,
		    Tcl_GetString(version), NULL);
		if (Tcl_GetStringResult(interp)[0] == '\0')
			tcl_words_call(&index->package, interp, "package", "ifneeded", text,
			    Tcl_GetString(version), Tcl_GetString(script), NULL);
	}
	Tcl_ResetResult(interp);
}

/* Load TCL_INDEX_READER if it is not there yet. */
static void need_reader(struct tcl_index *index, Tcl_Interp *interp)
{
	if (index->has_reader)
		return;
	index->has_reader = true;
	/* auto_load replaces this file's command by Tcl's own. */
	if (tcl_words(interp, "auto_load", "::tclPkgUnknown", NULL) == TCL_OK)
		tcl_words(interp, "rename", "::tclPkgUnknown", TCL_INDEX_READER, NULL);
	Tcl_CreateObjCommand(interp, "::tclPkgUnknown", tcl_index_unknown, index, NULL);
	Tcl_ResetResult(interp);
}

/*
 * When this directory was changed, in nanoseconds; 0: there is none.
 *
 * By stat(2) where the path is absolute. Tcl caches what it knows about a path, but checks it in
 * each run, since tcl_source.c adds a filesystem; and releasing the cache writes to the template's
 * memory.
 */
static Tcl_WideInt change_time(Tcl_Obj *directory)
{
	const char *path = Tcl_GetString(directory);
	struct stat status;
	Tcl_DString absolute;
	int result;

	Tcl_DStringInit(&absolute);
	path = path[0] == '/' ? Tcl_UtfToExternalDString(NULL, path, -1, &absolute)
			      : Tcl_FSGetNativePath(directory);
	result = path != NULL ? stat(path, &status) : -1;
	Tcl_DStringFree(&absolute);
	if (result == -1)
		return 0;
	return (Tcl_WideInt)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
}

static Tcl_Obj *new_dictionary(void)
{
	Tcl_Obj *dictionary = Tcl_NewDictObj();

	Tcl_IncrRefCount(dictionary);
	return dictionary;
}
