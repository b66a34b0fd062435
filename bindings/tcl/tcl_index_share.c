/*
 * One index for many interpreters: a rerun has a fresh one for each request, and most scripts
 * require no package, or one. So all that a new interpreter gets is the command that Tcl calls when
 * it does not know a package; what the index has is declared there, and Tcl's own reading half is
 * loaded, when the first package is required.
 */
#include "tcl_index.h"

static Tcl_Obj *share(Tcl_Obj *object);

void tcl_index_share(struct tcl_index *index, Tcl_Interp *interp, const struct tcl_index *from)
{
	/* The only one of the three that changes. */
	index->scanned = share(Tcl_DuplicateObj(from->scanned));
	index->installed = share(from->installed);
	index->modules = share(from->modules);
	index->shared = true;
	Tcl_CreateObjCommand(interp, "::tclPkgUnknown", tcl_index_unknown, index, NULL);
	/* Else Tcl's handler for modules comes first, and takes milliseconds to be loaded. */
	tcl_words_call(&index->package, interp, "package", "unknown", "::tclPkgUnknown", NULL);
	Tcl_ResetResult(interp);
}

void tcl_index_release(struct tcl_index *index)
{
	Tcl_DecrRefCount(index->scanned);
	Tcl_DecrRefCount(index->installed);
	Tcl_DecrRefCount(index->modules);
}

static Tcl_Obj *share(Tcl_Obj *object)
{
	Tcl_IncrRefCount(object);
	return object;
}

void tcl_index_declare(struct tcl_index *index, Tcl_Interp *interp)
{
	Tcl_Obj *words[5] = {
	    share(Tcl_NewStringObj("package", -1)), share(Tcl_NewStringObj("ifneeded", -1))};
	Tcl_DictSearch search;
	Tcl_Obj *pair;
	int done;

	index->declared = true;
	Tcl_DictObjFirst(NULL, index->installed, &search, &pair, &words[4], &done);
	for (; !done; Tcl_DictObjNext(&search, &pair, &words[4], &done))
		if (Tcl_ListObjIndex(NULL, pair, 0, &words[2]) == TCL_OK &&
		    Tcl_ListObjIndex(NULL, pair, 1, &words[3]) == TCL_OK)
			index->package.objProc(index->package.objClientData, interp, 5, words);
	Tcl_DictObjDone(&search);
	Tcl_DecrRefCount(words[0]);
	Tcl_DecrRefCount(words[1]);
	/* auto_load makes Tcl's own, in the place of ours. */
	if (tcl_words(interp, "auto_load", "::tclPkgUnknown", NULL) == TCL_OK)
		tcl_words(interp, "rename", "::tclPkgUnknown", TCL_INDEX_READER, NULL);
	Tcl_CreateObjCommand(interp, "::tclPkgUnknown", tcl_index_unknown, index, NULL);
	Tcl_ResetResult(interp);
}
