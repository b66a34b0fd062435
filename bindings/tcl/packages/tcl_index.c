/*
 * The index: `package unknown` of Tcl, in two halves. Tcl's own tclPkgUnknown reads the index files
 * of all folders on auto_path, every time. It still does the reading here, under another name and
 * with an auto_path that has only the folders it is to read; a command of ours with its name
 * decides which.
 * An interpreter that has the index of another one (tcl_index_share) gets that half late.
 *
 * Folders that were read in the template are not read again as long as their time of change is the
 * same; a package that is installed makes a new folder in one of them. This matters most for what
 * is not there: half of tcllib tries whether tcllibc is installed.
 */
#include "packages/tcl_index.h"

#include <string.h>
#include <sys/stat.h>

#include "interpreter/tcl_words.h"
#include "packages/tcl_index_query.h"

static void look_for_modules(
    struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static Tcl_Obj *unread_folders(struct tcl_index *index, Tcl_Interp *interp);
static int read_folders(
    struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *folders, const char *name);
static void mark_folders(struct tcl_index *index, Tcl_Interp *interp);
static bool is_changed(Tcl_Obj *folder, Tcl_Obj *mark);
static void restore_path(Tcl_Interp *interp, Tcl_Obj *old, Tcl_Size given);
static void note_installed(struct tcl_index *index, Tcl_Interp *interp);
static void need_reader(struct tcl_index *index, Tcl_Interp *interp);
static void declare(struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name);
static Tcl_WideInt change_time(Tcl_Obj *folder);
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
	/* A name that nobody gives a package makes Tcl read everything it has. */
	tcl_words(interp, "package", "require", "exthost-no-such-package", NULL);
	mark_folders(index, interp);
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
	Tcl_Obj *folders;

	if (index->shared && count > 0)
		declare(index, interp, words[0]);
	if (index->looked)
		return;
	index->looked = true;
	look_for_modules(index, interp, count, words);
	folders = unread_folders(index, interp);
	if (folders != NULL)
		read_folders(index, interp, folders, "");
	Tcl_ResetResult(interp);
}

/*
 * Modules (*.tm) have a path of their own. Tcl's handler for them looks through all of it, and then
 * calls the command that it is given first; `list` does nothing.
 */
static void look_for_modules(
    struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *command;
	Tcl_Obj *handler[2];

	/* Where the index is shared there is none, until the script puts something on it. */
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
	Tcl_Obj *folders = unread_folders(index, interp);

	index->looked = true;
	if (index->shared && count > 1) {
		declare(index, interp, words[1]);
		look_for_modules(index, interp, count - 1, words + 1);
	}
	return folders == NULL ? TCL_OK : read_folders(index, interp, folders, name);
}

/* A new list with no reference, or NULL: all folders on auto_path were read as they are. */
static Tcl_Obj *unread_folders(struct tcl_index *index, Tcl_Interp *interp)
{
	Tcl_Obj *path = Tcl_GetVar2Ex(interp, "auto_path", NULL, TCL_GLOBAL_ONLY);
	Tcl_Obj *folders = NULL;
	Tcl_Obj **elements;
	Tcl_Obj *mark;
	Tcl_Size count;

	if (path == NULL || Tcl_ListObjGetElements(NULL, path, &count, &elements) != TCL_OK)
		return NULL;
	for (Tcl_Size i = 0; i < count; i++) {
		if (Tcl_DictObjGet(NULL, index->scanned, elements[i], &mark) != TCL_OK ||
		    (mark != NULL && !is_changed(elements[i], mark)))
			continue;
		if (folders == NULL)
			folders = Tcl_NewListObj(0, NULL);
		Tcl_ListObjAppendElement(NULL, folders, elements[i]);
	}
	return folders;
}

/* Takes folders over. An index may put more on auto_path; that is read, and stays there. */
static int read_folders(
    struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *folders, const char *name)
{
	Tcl_Obj *old = Tcl_GetVar2Ex(interp, "auto_path", NULL, TCL_GLOBAL_ONLY);
	Tcl_Size count;
	int code;

	Tcl_ListObjLength(NULL, folders, &count);
	need_reader(index, interp);
	Tcl_IncrRefCount(old);
	Tcl_SetVar2Ex(interp, "auto_path", NULL, folders, TCL_GLOBAL_ONLY);
	code = tcl_words(interp, TCL_INDEX_READER, name, NULL);
	mark_folders(index, interp);
	restore_path(interp, old, count);
	Tcl_DecrRefCount(old);
	return code;
}

static void mark_folders(struct tcl_index *index, Tcl_Interp *interp)
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

static bool is_changed(Tcl_Obj *folder, Tcl_Obj *mark)
{
	Tcl_WideInt time;

	return Tcl_GetWideIntFromObj(NULL, mark, &time) != TCL_OK || time != change_time(folder);
}

/* The old auto_path, and behind it what the reading has added to the given folders. */
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
 * Of an index that is shared: declare what it has of this name to `package`. What is declared already
 * stays: the script's own folders have the last word.
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

/* See to it that the reader is there. */
static void need_reader(struct tcl_index *index, Tcl_Interp *interp)
{
	if (index->has_reader)
		return;
	index->has_reader = true;
	/* auto_load makes Tcl's own, in the place of ours. */
	if (tcl_words(interp, "auto_load", "::tclPkgUnknown", NULL) == TCL_OK)
		tcl_words(interp, "rename", "::tclPkgUnknown", TCL_INDEX_READER, NULL);
	Tcl_CreateObjCommand(interp, "::tclPkgUnknown", tcl_index_unknown, index, NULL);
	Tcl_ResetResult(interp);
}

/*
 * When this folder has changed, in nanoseconds; 0 if there is none.
 *
 * What Tcl keeps about a path it finds out anew in each run, since there is one more filesystem then
 * (tcl_source.c), and to let go what it had writes to memory that is the template's. Of an absolute
 * path there is nothing to be found out.
 */
static Tcl_WideInt change_time(Tcl_Obj *folder)
{
	const char *path = Tcl_GetString(folder);
	struct stat status;
	Tcl_DString absolute;
	int result;

	Tcl_DStringInit(&absolute);
	path = path[0] == '/' ? Tcl_UtfToExternalDString(NULL, path, -1, &absolute)
			      : Tcl_FSGetNativePath(folder);
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
