/*
 * One index for many interpreters. Rerun has a fresh one for each request, and most scripts require
 * one package or none. So a new interpreter gets nothing but the command that Tcl calls for an
 * unknown package. What the index has of a package is declared when a script requires it, and Tcl's
 * reading half is loaded when there is something to read.
 *
 * A script can see this in `package names`, which lists less than in tclsh.
 */
#include "packages/tcl_index_share.h"

#include "interpreter/tcl_words.h"
#include "packages/tcl_index.h"

static Tcl_Obj *share(Tcl_Obj *object);
static Tcl_Obj *sort_by_name(Tcl_Obj *installed);

void tcl_index_share(struct tcl_index *index, Tcl_Interp *interp, struct tcl_index *from)
{
	if (from->versions == NULL)
		from->versions = share(sort_by_name(from->installed));
	/* A copy: the only one of these that changes. */
	index->scanned = share(Tcl_DuplicateObj(from->scanned));
	index->installed = share(from->installed);
	index->modules = share(from->modules);
	index->versions = share(from->versions);
	index->shared = true;
	Tcl_CreateObjCommand(interp, "::tclPkgUnknown", tcl_index_unknown, index, NULL);
	/* Otherwise Tcl's handler for modules comes first, and takes milliseconds to load. */
	tcl_words_call(&index->package, interp, "package", "unknown", "::tclPkgUnknown", NULL);
	Tcl_ResetResult(interp);
}

void tcl_index_release(struct tcl_index *index)
{
	Tcl_DecrRefCount(index->scanned);
	Tcl_DecrRefCount(index->installed);
	Tcl_DecrRefCount(index->modules);
	Tcl_DecrRefCount(index->versions);
}

static Tcl_Obj *share(Tcl_Obj *object)
{
	Tcl_IncrRefCount(object);
	return object;
}

/* Turn a dictionary keyed by lists of name and version into one from name to version to script. */
static Tcl_Obj *sort_by_name(Tcl_Obj *installed)
{
	Tcl_Obj *sorted = Tcl_NewDictObj();
	Tcl_DictSearch search;
	Tcl_Obj **pair;
	Tcl_Obj *key;
	Tcl_Obj *script;
	Tcl_Obj *versions;
	Tcl_Size count;
	int done;

	Tcl_DictObjFirst(NULL, installed, &search, &key, &script, &done);
	for (; !done; Tcl_DictObjNext(&search, &key, &script, &done)) {
		if (Tcl_ListObjGetElements(NULL, key, &count, &pair) != TCL_OK || count != 2 ||
		    Tcl_DictObjGet(NULL, sorted, pair[0], &versions) != TCL_OK)
			continue;
		versions = versions != NULL ? Tcl_DuplicateObj(versions) : Tcl_NewDictObj();
		Tcl_DictObjPut(NULL, versions, pair[1], script);
		Tcl_DictObjPut(NULL, sorted, pair[0], versions);
	}
	return sorted;
}
