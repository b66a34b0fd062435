/*
 * Packages. Two things make `package require` cheap in a request process, and do not change its
 * meaning.
 *
 * The index. When a script first asks for any package, tclsh reads the index file of every
 * installed package (some 450 with tcllib): 12 ms, or 50 ms from a cold disk. The template has read
 * them. What tclsh would find at that moment besides, in directories that the script itself has put
 * on auto_path, is read at that moment.
 *
 * Packages loaded ahead. A package that extensions keep requiring is loaded in the template, in the
 * interpreter that will run the script, since another interpreter could not share its commands. A
 * script can see this if it looks for commands of a package before it requires it, or calls
 * `package present`; that is the price. The result of `package require` never changes: if the
 * script brings a version of its own, or asks for another version than the one loaded, the
 * template's is unloaded and the package is loaded as it would have been.
 *
 * An app worker that reruns its script, each time in a fresh interpreter, has several. They share
 * the index, and what one script adds is loaded ahead in the next interpreters.
 *
 * For all of this the command `package` is watched from inside, which no script can see and which
 * costs nothing until a package is required. This also shows what a script adds, to report it to
 * the host. Reported is only what the template's index names and its very script loaded: never a
 * package of the extension root.
 */
#include "packages/tcl_packages.h"

#include <string.h>

#include "host/base/error.h"
#include "host/base/tuning.h"
#include "host/binding.h"
#include "interpreter/tcl_error.h"
#include "interpreter/tcl_words.h"
#include "packages/tcl_index.h"
#include "packages/tcl_index_query.h"
#include "packages/tcl_index_share.h"
#include "packages/tcl_trial.h"

enum { NOTICED_MAX = 64 };

struct packages {
	struct tcl_index index;
	Tcl_Obj *builtin; /* dictionary, name to version: packages that tclsh has from the start */
	Tcl_Obj *ahead;   /* dictionary, name to version: packages that the template has loaded */
	Tcl_Obj *brought; /* list of names: packages that the script has added */
	Tcl_Obj *learned; /* list of names, for interpreters that share this index; NULL: none */
};

static void forget(void *data, Tcl_Interp *interp);
static int load_learned(Tcl_Interp *interp, struct packages *from);
static int require(Tcl_Interp *interp, const char *name);
static void watch(struct packages *packages, Tcl_Interp *interp);
static int package_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[]);
static Tcl_Obj *required_name(int count, Tcl_Obj *const words[]);
static int is_key(Tcl_Obj *dictionary, Tcl_Obj *name);
static void settle(struct packages *packages, Tcl_Interp *interp);
static void load_library(const struct tcl_index *index, Tcl_Interp *interp, const char *name);
static void unload(struct packages *packages, Tcl_Interp *interp, const char *name);
static struct packages *find(Tcl_Interp *interp);

static const char association[] = "exthost packages";

int tcl_packages_start(Tcl_Interp *interp, struct error *e)
{
	struct packages *packages = (struct packages *)Tcl_Alloc(sizeof(*packages));

	memset(packages, 0, sizeof(*packages));
	Tcl_SetAssocData(interp, association, NULL, packages);
	if (!Tcl_GetCommandInfo(interp, "::package", &packages->index.package))
		return error_set(e, "start Tcl: no command \"package\"");
	packages->builtin = tcl_index_provided(&packages->index, interp);
	if (!tuning_has(TUNING_TCL_PACKAGES)) {
		packages->brought = Tcl_NewListObj(0, NULL);
		Tcl_IncrRefCount(packages->brought);
		return 0;
	}
	if (tcl_index_start(&packages->index, interp) != TCL_OK)
		return tcl_error_set(interp, e, "read the index of packages");
	settle(packages, interp);
	watch(packages, interp);
	/*
	 * `clock` belongs to Tcl, most scripts that use dates need it, and loading it takes 10 ms.
	 */
	tcl_words(interp, "clock", "format", "0", NULL);
	tcl_words(interp, "clock", "scan", "2000-01-01 00:00:00", "-gmt", "1", NULL);
	load_library(&packages->index, interp, "sqlite3");
	settle(packages, interp);
	return 0;
}

int tcl_packages_share(Tcl_Interp *interp, Tcl_Interp *from)
{
	struct packages *packages = (struct packages *)Tcl_Alloc(sizeof(*packages));

	memset(packages, 0, sizeof(*packages));
	if (!tuning_has(TUNING_TCL_PACKAGES) ||
	    !Tcl_GetCommandInfo(interp, "::package", &packages->index.package)) {
		Tcl_Free((void *)packages);
		return -1;
	}
	Tcl_SetAssocData(interp, association, forget, packages);
	packages->builtin = tcl_index_provided(&packages->index, interp);
	tcl_index_share(&packages->index, interp, &find(from)->index);
	settle(packages, interp);
	watch(packages, interp);
	return load_learned(interp, find(from));
}

/* If one fails, none of the noted packages is loaded again. */
static int load_learned(Tcl_Interp *interp, struct packages *from)
{
	Tcl_Obj **names;
	Tcl_Size count;

	if (from->learned == NULL ||
	    Tcl_ListObjGetElements(NULL, from->learned, &count, &names) != TCL_OK || count == 0)
		return 0;
	for (Tcl_Size i = 0; i < count; i++) {
		const char *name = Tcl_GetString(names[i]);

		if (require(interp, name) != TCL_OK) {
			Tcl_DecrRefCount(from->learned);
			from->learned = NULL;
			return -1;
		}
	}
	settle(find(interp), interp);
	return 0;
}

void tcl_packages_learn(Tcl_Interp *interp, Tcl_Interp *from)
{
	struct packages *packages = find(interp);
	struct packages *to = find(from);
	Tcl_Obj **names;
	Tcl_Size count;
	Tcl_Size known;

	if (to->learned == NULL) {
		to->learned = Tcl_NewListObj(0, NULL);
		Tcl_IncrRefCount(to->learned);
	}
	if (Tcl_ListObjGetElements(NULL, packages->brought, &count, &names) != TCL_OK ||
	    Tcl_ListObjLength(NULL, to->learned, &known) != TCL_OK)
		return;
	for (Tcl_Size i = 0; i < count && known + i < NOTICED_MAX; i++)
		if (tcl_index_is_installed(&packages->index, interp, names[i]))
			Tcl_ListObjAppendElement(NULL, to->learned, names[i]);
}

static void forget(void *data, Tcl_Interp *interp)
{
	struct packages *packages = data;

	(void)interp;
	tcl_index_release(&packages->index);
	Tcl_DecrRefCount(packages->builtin);
	Tcl_DecrRefCount(packages->ahead);
	Tcl_DecrRefCount(packages->brought);
	Tcl_Free(data);
}

int tcl_packages_preload(Tcl_Interp *interp, const char *name, struct error *e)
{
	if (tcl_trial_package(interp, name, e) == -1)
		return -1;
	if (require(interp, name) != TCL_OK)
		return tcl_error_set(interp, e, name);
	settle(find(interp), interp);
	return 0;
}

static int require(Tcl_Interp *interp, const char *name)
{
	Tcl_Obj *path = Tcl_GetVar2Ex(interp, "auto_path", NULL, TCL_GLOBAL_ONLY);
	int code;

	Tcl_IncrRefCount(path);
	code = tcl_words(interp, "package", "require", name, NULL);
	Tcl_SetVar2Ex(interp, "auto_path", NULL, path, TCL_GLOBAL_ONLY);
	Tcl_DecrRefCount(path);
	return code;
}

/* In most runs the list is empty, and this is one comparison. */
void tcl_packages_notice(Tcl_Interp *interp, struct binding_run *run)
{
	struct packages *packages = find(interp);
	Tcl_Obj **names;
	Tcl_Size count;

	if (Tcl_ListObjGetElements(NULL, packages->brought, &count, &names) != TCL_OK)
		return;
	for (Tcl_Size i = 0; i < count && i < NOTICED_MAX; i++)
		if (tcl_index_is_installed(&packages->index, interp, names[i]))
			binding_notice(run, Tcl_GetString(names[i]));
}

static void watch(struct packages *packages, Tcl_Interp *interp)
{
	Tcl_CmdInfo ours = packages->index.package;

	ours.objProc = package_command;
	ours.objClientData = packages;
	Tcl_SetCommandInfo(interp, "::package", &ours);
}

static int package_command(void *data, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
	struct packages *packages = data;
	Tcl_Obj *name = required_name(count, words);
	int present;
	int skip;
	int code;

	if (name == NULL || is_key(packages->builtin, name))
		return packages->index.package.objProc(
		    packages->index.package.objClientData, interp, count, words);
	skip = words[2] == name ? 2 : 3;
	tcl_index_first_look(&packages->index, interp, count - skip, words + skip);
	if (is_key(packages->ahead, name)) {
		if (!tcl_index_stands(&packages->index, interp, count - 2, words + 2, name))
			unload(packages, interp, Tcl_GetString(name));
		Tcl_DictObjRemove(NULL, packages->ahead, name);
	}
	present = tcl_index_is_provided(&packages->index, interp, name);
	code = packages->index.package.objProc(
	    packages->index.package.objClientData, interp, count, words);
	if (code == TCL_OK && !present)
		Tcl_ListObjAppendElement(NULL, packages->brought, name);
	return code;
}

/*
 * The name in `package require ?-exact? NAME ...`, or NULL. Tcl takes any prefix "r..." for
 * require.
 */
static Tcl_Obj *required_name(int count, Tcl_Obj *const words[])
{
	const char *verb;
	Tcl_Size length;

	if (count < 3)
		return NULL;
	verb = Tcl_GetStringFromObj(words[1], &length);
	if (length == 0 || strncmp(verb, "require", (size_t)length) != 0)
		return NULL;
	if (strcmp(Tcl_GetString(words[2]), "-exact") != 0)
		return words[2];
	return count > 3 ? words[3] : NULL;
}

static int is_key(Tcl_Obj *dictionary, Tcl_Obj *name)
{
	Tcl_Obj *value = NULL;

	return Tcl_DictObjGet(NULL, dictionary, name, &value) == TCL_OK && value != NULL;
}

/*
 * Unload a package that was loaded ahead: the package, those whose names begin with its name and
 * ::, and the namespace of that name, which by convention holds all of a package.
 */
static void unload(struct packages *packages, Tcl_Interp *interp, const char *name)
{
	Tcl_Obj *all = Tcl_DuplicateObj(packages->ahead);
	size_t length = strlen(name);
	Tcl_Namespace *names;
	Tcl_DictSearch search;
	Tcl_Obj *other;
	int done;

	Tcl_IncrRefCount(all);
	Tcl_DictObjFirst(NULL, all, &search, &other, NULL, &done);
	for (; !done; Tcl_DictObjNext(&search, &other, NULL, &done)) {
		const char *text = Tcl_GetString(other);

		if (strncmp(text, name, length) != 0 ||
		    (text[length] != '\0' && strncmp(text + length, "::", 2) != 0))
			continue;
		tcl_index_forget(&packages->index, interp, other);
		Tcl_DictObjRemove(NULL, packages->ahead, other);
	}
	Tcl_DecrRefCount(all);
	names = Tcl_FindNamespace(interp, name, NULL, TCL_GLOBAL_ONLY);
	if (names != NULL)
		Tcl_DeleteNamespace(names);
	Tcl_ResetResult(interp);
}

/* The packages loaded now are the template's, and the script has required none yet. */
static void settle(struct packages *packages, Tcl_Interp *interp)
{
	Tcl_DictSearch search;
	Tcl_Obj *name;
	int done;

	if (packages->ahead != NULL)
		Tcl_DecrRefCount(packages->ahead);
	packages->ahead = tcl_index_provided(&packages->index, interp);
	Tcl_DictObjFirst(NULL, packages->builtin, &search, &name, NULL, &done);
	for (; !done; Tcl_DictObjNext(&search, &name, NULL, &done))
		Tcl_DictObjRemove(NULL, packages->ahead, name);
	if (packages->brought != NULL)
		Tcl_DecrRefCount(packages->brought);
	packages->brought = Tcl_NewListObj(0, NULL);
	Tcl_IncrRefCount(packages->brought);
	packages->index.looked = false;
	tcl_error_forget(interp);
}

/*
 * Map a package's shared library and nothing else, by loading it in an interpreter that runs no
 * script. Half of the cost of `package require sqlite3` is the dynamic linker's work. A package
 * that is not installed is no error.
 */
static void load_library(const struct tcl_index *index, Tcl_Interp *interp, const char *name)
{
	Tcl_Obj *script = tcl_index_script(index, interp, name);
	Tcl_Interp *other;

	if (script == NULL)
		return;
	other = Tcl_CreateInterp();
	Tcl_EvalObjEx(other, script, TCL_EVAL_GLOBAL);
	Tcl_DeleteInterp(other);
	Tcl_DecrRefCount(script);
}

static struct packages *find(Tcl_Interp *interp)
{
	return Tcl_GetAssocData(interp, association, NULL);
}
