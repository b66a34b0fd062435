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

static void look_for_modules(
    struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static Tcl_Obj *unread_folders(struct tcl_index *index, Tcl_Interp *interp);
static int read_folders(
    struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *folders, const char *name);
static void mark_folders(struct tcl_index *index, Tcl_Interp *interp);
static bool is_changed(Tcl_Obj *folder, Tcl_Obj *mark);
static void restore_path(Tcl_Interp *interp, Tcl_Obj *old, Tcl_Size given);
static void note_installed(struct tcl_index *index, Tcl_Interp *interp);
static bool has_better(
    const struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static bool satisfies(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *version,
    int count, Tcl_Obj *const words[]);
static bool is_present(
    const struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static Tcl_Obj *ask(const struct tcl_index *index, Tcl_Interp *interp, const char *verb,
    const char *name, const char *version);
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
		tcl_index_declare(index, interp, words[0]);
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
		tcl_index_declare(index, interp, words[1]);
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
	tcl_index_need_reader(index, interp);
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
		Tcl_DictObjPut(NULL, index->scanned, elements[i],
		    Tcl_NewWideIntObj(tcl_folder_time(elements[i])));
}

static bool is_changed(Tcl_Obj *folder, Tcl_Obj *mark)
{
	Tcl_WideInt time;

	return Tcl_GetWideIntFromObj(NULL, mark, &time) != TCL_OK ||
	       time != tcl_folder_time(folder);
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
	Tcl_Obj *names = ask(index, interp, "names", NULL, NULL);
	Tcl_Obj **name;
	Tcl_Size count = 0;

	Tcl_ListObjGetElements(NULL, names, &count, &name);
	for (Tcl_Size i = 0; i < count; i++) {
		Tcl_Obj *versions = ask(index, interp, "versions", Tcl_GetString(name[i]), NULL);
		Tcl_Obj **version;
		Tcl_Size known = 0;

		Tcl_ListObjGetElements(NULL, versions, &known, &version);
		for (Tcl_Size j = 0; j < known; j++) {
			Tcl_Obj *pair[2] = {name[i], version[j]};
			Tcl_Obj *script = ask(index, interp, "ifneeded", Tcl_GetString(name[i]),
			    Tcl_GetString(version[j]));

			Tcl_DictObjPut(NULL, index->installed, Tcl_NewListObj(2, pair), script);
			Tcl_DecrRefCount(script);
		}
		Tcl_DecrRefCount(versions);
	}
	Tcl_DecrRefCount(names);
}

Tcl_Obj *tcl_index_provided(const struct tcl_index *index, Tcl_Interp *interp)
{
	Tcl_Obj *provided = new_dictionary();
	Tcl_Obj *names = ask(index, interp, "names", NULL, NULL);
	Tcl_Obj **name;
	Tcl_Size count = 0;

	Tcl_ListObjGetElements(NULL, names, &count, &name);
	for (Tcl_Size i = 0; i < count; i++) {
		Tcl_Obj *version = ask(index, interp, "provide", Tcl_GetString(name[i]), NULL);

		if (Tcl_GetString(version)[0] != '\0')
			Tcl_DictObjPut(NULL, provided, name[i], version);
		Tcl_DecrRefCount(version);
	}
	Tcl_DecrRefCount(names);
	return provided;
}

bool tcl_index_is_provided(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name)
{
	Tcl_Obj *version = ask(index, interp, "provide", Tcl_GetString(name), NULL);
	bool provided = Tcl_GetString(version)[0] != '\0';

	Tcl_DecrRefCount(version);
	return provided;
}

bool tcl_index_stands(const struct tcl_index *index, Tcl_Interp *interp, int count,
    Tcl_Obj *const words[], Tcl_Obj *name)
{
	return tcl_index_is_installed(index, interp, name) &&
	       is_present(index, interp, count, words) &&
	       (words[0] != name || !has_better(index, interp, count, words));
}

/* Is there a newer version that satisfies the words, a name and what it must satisfy? */
static bool has_better(
    const struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *version = ask(index, interp, "provide", Tcl_GetString(words[0]), NULL);
	Tcl_Obj *versions = ask(index, interp, "versions", Tcl_GetString(words[0]), NULL);
	Tcl_Obj **known;
	Tcl_Size length = 0;
	bool better = false;

	Tcl_ListObjGetElements(NULL, versions, &length, &known);
	for (Tcl_Size i = 0; i < length && !better; i++) {
		Tcl_Obj *order =
		    ask(index, interp, "vcompare", Tcl_GetString(known[i]), Tcl_GetString(version));

		better = strcmp(Tcl_GetString(order), "1") == 0 &&
			 satisfies(index, interp, known[i], count - 1, words + 1);
		Tcl_DecrRefCount(order);
	}
	Tcl_DecrRefCount(versions);
	Tcl_DecrRefCount(version);
	return better;
}

/* A version satisfies one of these requirements, or there are none. */
static bool satisfies(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *version,
    int count, Tcl_Obj *const words[])
{
	bool satisfied = count == 0;

	for (int i = 0; i < count && !satisfied; i++) {
		Tcl_Obj *answer = ask(
		    index, interp, "vsatisfies", Tcl_GetString(version), Tcl_GetString(words[i]));

		satisfied = strcmp(Tcl_GetString(answer), "1") == 0;
		Tcl_DecrRefCount(answer);
	}
	return satisfied;
}

/* `package present` with the words that stand behind `package require`. */
static bool is_present(
    const struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *command = Tcl_NewListObj(count, words);
	Tcl_Obj *verb[2] = {Tcl_NewStringObj("package", -1), Tcl_NewStringObj("present", -1)};
	Tcl_Obj **elements;
	Tcl_Size length;
	bool present;

	Tcl_ListObjReplace(NULL, command, 0, 0, 2, verb);
	Tcl_IncrRefCount(command);
	Tcl_ListObjGetElements(NULL, command, &length, &elements);
	present = index->package.objProc(
		      index->package.objClientData, interp, (int)length, elements) == TCL_OK;
	Tcl_DecrRefCount(command);
	Tcl_ResetResult(interp);
	return present;
}

void tcl_index_forget(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name)
{
	const char *text = Tcl_GetString(name);
	Tcl_Obj *versions = ask(index, interp, "versions", text, NULL);
	Tcl_Obj *scripts = Tcl_NewListObj(0, NULL);
	Tcl_Obj **version;
	Tcl_Obj *script;
	Tcl_Size count = 0;

	Tcl_IncrRefCount(scripts);
	Tcl_ListObjGetElements(NULL, versions, &count, &version);
	for (Tcl_Size i = 0; i < count; i++) {
		script = ask(index, interp, "ifneeded", text, Tcl_GetString(version[i]));
		Tcl_ListObjAppendElement(NULL, scripts, script);
		Tcl_DecrRefCount(script);
	}
	tcl_words_call(&index->package, interp, "package", "forget", text, NULL);
	for (Tcl_Size i = 0; i < count; i++) {
		Tcl_ListObjIndex(NULL, scripts, i, &script);
		tcl_words_call(&index->package, interp, "package", "ifneeded", text,
		    Tcl_GetString(version[i]), Tcl_GetString(script), NULL);
	}
	Tcl_DecrRefCount(scripts);
	Tcl_DecrRefCount(versions);
	Tcl_ResetResult(interp);
}

bool tcl_index_is_installed(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name)
{
	Tcl_Obj *version = ask(index, interp, "provide", Tcl_GetString(name), NULL);
	Tcl_Obj *script =
	    ask(index, interp, "ifneeded", Tcl_GetString(name), Tcl_GetString(version));
	Tcl_Obj *pair[2] = {name, version};
	Tcl_Obj *key = Tcl_NewListObj(2, pair);
	Tcl_Obj *noted = NULL;
	bool installed;

	Tcl_IncrRefCount(key);
	Tcl_DictObjGet(NULL, index->installed, key, &noted);
	installed = noted != NULL && strcmp(Tcl_GetString(noted), Tcl_GetString(script)) == 0;
	Tcl_DecrRefCount(key);
	Tcl_DecrRefCount(script);
	Tcl_DecrRefCount(version);
	return installed;
}

Tcl_Obj *tcl_index_script(const struct tcl_index *index, Tcl_Interp *interp, const char *name)
{
	Tcl_Obj *versions = ask(index, interp, "versions", name, NULL);
	Tcl_Obj *version = NULL;
	Tcl_Obj *script = NULL;

	if (Tcl_ListObjIndex(NULL, versions, 0, &version) == TCL_OK && version != NULL)
		script = ask(index, interp, "ifneeded", name, Tcl_GetString(version));
	Tcl_DecrRefCount(versions);
	return script;
}

/* What `package VERB ?NAME? ?VERSION?` says, a new reference; an empty word if it is an error. */
static Tcl_Obj *ask(const struct tcl_index *index, Tcl_Interp *interp, const char *verb,
    const char *name, const char *version)
{
	Tcl_Obj *answer;
	int code = tcl_words_call(&index->package, interp, "package", verb, name, version, NULL);

	answer = code == TCL_OK ? Tcl_GetObjResult(interp) : Tcl_NewObj();
	Tcl_IncrRefCount(answer);
	Tcl_ResetResult(interp);
	return answer;
}

static Tcl_Obj *new_dictionary(void)
{
	Tcl_Obj *dictionary = Tcl_NewDictObj();

	Tcl_IncrRefCount(dictionary);
	return dictionary;
}
