/*
 * Questions to `package` and to the index: which version of a package is provided, whether it is
 * the template's, and whether a script would get that very version.
 */
#include "packages/tcl_index_query.h"

#include <string.h>

#include "interpreter/tcl_words.h"
#include "packages/tcl_index.h"

static bool has_better(
    const struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static bool satisfies(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *version,
    int count, Tcl_Obj *const words[]);
static bool is_present(
    const struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);

Tcl_Obj *tcl_index_provided(const struct tcl_index *index, Tcl_Interp *interp)
{
	Tcl_Obj *provided = Tcl_NewDictObj();
	Tcl_Obj *names = tcl_index_ask(index, interp, "names", NULL, NULL);
	Tcl_Obj **name;
	Tcl_Size count = 0;

	Tcl_IncrRefCount(provided);
	Tcl_ListObjGetElements(NULL, names, &count, &name);
	for (Tcl_Size i = 0; i < count; i++) {
		Tcl_Obj *version =
		    tcl_index_ask(index, interp, "provide", Tcl_GetString(name[i]), NULL);

		if (Tcl_GetString(version)[0] != '\0')
			Tcl_DictObjPut(NULL, provided, name[i], version);
		Tcl_DecrRefCount(version);
	}
	Tcl_DecrRefCount(names);
	return provided;
}

bool tcl_index_is_provided(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name)
{
	Tcl_Obj *version = tcl_index_ask(index, interp, "provide", Tcl_GetString(name), NULL);
	bool provided = Tcl_GetString(version)[0] != '\0';

	Tcl_DecrRefCount(version);
	return provided;
}

bool tcl_index_is_installed(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *name)
{
	Tcl_Obj *version = tcl_index_ask(index, interp, "provide", Tcl_GetString(name), NULL);
	Tcl_Obj *script =
	    tcl_index_ask(index, interp, "ifneeded", Tcl_GetString(name), Tcl_GetString(version));
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

bool tcl_index_stands(const struct tcl_index *index, Tcl_Interp *interp, int count,
    Tcl_Obj *const words[], Tcl_Obj *name)
{
	return tcl_index_is_installed(index, interp, name) &&
	       is_present(index, interp, count, words) &&
	       (words[0] != name || !has_better(index, interp, count, words));
}

/* True if there is a newer version that satisfies the words: a name, and requirements. */
static bool has_better(
    const struct tcl_index *index, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	Tcl_Obj *version = tcl_index_ask(index, interp, "provide", Tcl_GetString(words[0]), NULL);
	Tcl_Obj *versions = tcl_index_ask(index, interp, "versions", Tcl_GetString(words[0]), NULL);
	Tcl_Obj **known;
	Tcl_Size length = 0;
	bool better = false;

	Tcl_ListObjGetElements(NULL, versions, &length, &known);
	for (Tcl_Size i = 0; i < length && !better; i++) {
		Tcl_Obj *order = tcl_index_ask(
		    index, interp, "vcompare", Tcl_GetString(known[i]), Tcl_GetString(version));

		better = strcmp(Tcl_GetString(order), "1") == 0 &&
			 satisfies(index, interp, known[i], count - 1, words + 1);
		Tcl_DecrRefCount(order);
	}
	Tcl_DecrRefCount(versions);
	Tcl_DecrRefCount(version);
	return better;
}

/* True if the version satisfies one of these requirements, or there are none. */
static bool satisfies(const struct tcl_index *index, Tcl_Interp *interp, Tcl_Obj *version,
    int count, Tcl_Obj *const words[])
{
	bool satisfied = count == 0;

	for (int i = 0; i < count && !satisfied; i++) {
		Tcl_Obj *answer = tcl_index_ask(
		    index, interp, "vsatisfies", Tcl_GetString(version), Tcl_GetString(words[i]));

		satisfied = strcmp(Tcl_GetString(answer), "1") == 0;
		Tcl_DecrRefCount(answer);
	}
	return satisfied;
}

/* `package present` with the words after `package require`. */
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
	Tcl_Obj *versions = tcl_index_ask(index, interp, "versions", text, NULL);
	Tcl_Obj *scripts = Tcl_NewListObj(0, NULL);
	Tcl_Obj **version;
	Tcl_Obj *script;
	Tcl_Size count = 0;

	Tcl_IncrRefCount(scripts);
	Tcl_ListObjGetElements(NULL, versions, &count, &version);
	for (Tcl_Size i = 0; i < count; i++) {
		script = tcl_index_ask(index, interp, "ifneeded", text, Tcl_GetString(version[i]));
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

Tcl_Obj *tcl_index_script(const struct tcl_index *index, Tcl_Interp *interp, const char *name)
{
	Tcl_Obj *versions = tcl_index_ask(index, interp, "versions", name, NULL);
	Tcl_Obj *version = NULL;
	Tcl_Obj *script = NULL;

	if (Tcl_ListObjIndex(NULL, versions, 0, &version) == TCL_OK && version != NULL)
		script = tcl_index_ask(index, interp, "ifneeded", name, Tcl_GetString(version));
	Tcl_DecrRefCount(versions);
	return script;
}

Tcl_Obj *tcl_index_ask(const struct tcl_index *index, Tcl_Interp *interp, const char *verb,
    const char *name, const char *version)
{
	Tcl_Obj *answer;
	int code = tcl_words_call(&index->package, interp, "package", verb, name, version, NULL);

	answer = code == TCL_OK ? Tcl_GetObjResult(interp) : Tcl_NewObj();
	Tcl_IncrRefCount(answer);
	Tcl_ResetResult(interp);
	return answer;
}
