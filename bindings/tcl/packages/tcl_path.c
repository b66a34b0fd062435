/*
 * The setting tcl-path: directories that come first on auto_path, and on the module path (*.tm).
 *
 * A directory may also hold plain scripts that provide a package and have no index, as wapp.tcl is
 * distributed. Such a script is declared to `package` by what it says itself. An index that names
 * the same version is read later, and wins.
 */
#include "packages/tcl_path.h"

#include <dirent.h>
#include <stdbool.h>
#include <string.h>

#include "interpreter/tcl_error.h"
#include "interpreter/tcl_words.h"
#include "packages/tcl_provide.h"

static void add_directory(Tcl_Interp *interp, const char *path, size_t length);
static bool has_modules(const char *directory);
static void add_scripts(Tcl_Interp *interp, const char *directory);

void tcl_path_add(Tcl_Interp *interp, const char *directories)
{
	const char *end = directories != NULL ? directories + strlen(directories) : NULL;
	const char *begin;

	/* From the last to the first, since each is inserted at the front. */
	while (end != NULL) {
		begin = memrchr(directories, ':', (size_t)(end - directories));
		begin = begin != NULL ? begin + 1 : directories;
		if (begin < end)
			add_directory(interp, begin, (size_t)(end - begin));
		end = begin > directories ? begin - 1 : NULL;
	}
	tcl_error_forget(interp);
}

static void add_directory(Tcl_Interp *interp, const char *path, size_t length)
{
	Tcl_Obj *given;
	Tcl_Obj *directory;
	Tcl_Obj *all = Tcl_GetVar2Ex(interp, "auto_path", NULL, TCL_GLOBAL_ONLY);
	Tcl_DString text;

	Tcl_ExternalToUtfDString(NULL, path, (Tcl_Size)length, &text);
	given = Tcl_NewStringObj(Tcl_DStringValue(&text), Tcl_DStringLength(&text));
	Tcl_DStringFree(&text);
	Tcl_IncrRefCount(given);
	directory = Tcl_FSGetNormalizedPath(interp, given);
	if (directory != NULL) {
		all = all != NULL ? Tcl_DuplicateObj(all) : Tcl_NewListObj(0, NULL);
		Tcl_IncrRefCount(all);
		if (Tcl_ListObjReplace(NULL, all, 0, 0, 1, &directory) == TCL_OK)
			Tcl_SetVar2Ex(interp, "auto_path", NULL, all, TCL_GLOBAL_ONLY);
		Tcl_DecrRefCount(all);
		/*
		 * Fails if the directory lies within another one on the module path, where its
		 * modules are found as well.
		 */
		if (has_modules(Tcl_GetString(directory)))
			tcl_words(interp, "::tcl::tm::path", "add", Tcl_GetString(directory), NULL);
		add_scripts(interp, Tcl_GetString(directory));
	}
	Tcl_DecrRefCount(given);
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name);
	size_t end = strlen(suffix);

	return length > end && strcmp(name + length - end, suffix) == 0;
}

/* Making the module path takes milliseconds, and most directories have no module. */
static bool has_modules(const char *directory)
{
	Tcl_DString native;
	DIR *stream = opendir(Tcl_UtfToExternalDString(NULL, directory, -1, &native));
	const struct dirent *entry;
	bool found = false;

	while (!found && stream != NULL && (entry = readdir(stream)) != NULL)
		found = entry->d_name[0] != '.' &&
			(has_suffix(entry->d_name, ".tm") || entry->d_type != DT_REG);
	if (stream != NULL)
		closedir(stream);
	Tcl_DStringFree(&native);
	return found;
}

static bool is_script(const char *name)
{
	return name[0] != '.' && has_suffix(name, ".tcl") && strcmp(name, "pkgIndex.tcl") != 0;
}

static void add_scripts(Tcl_Interp *interp, const char *directory)
{
	Tcl_DString native;
	DIR *stream = opendir(Tcl_UtfToExternalDString(NULL, directory, -1, &native));
	const struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		if (is_script(entry->d_name)) {
			Tcl_Obj *path = Tcl_ObjPrintf("%s/%s", directory, entry->d_name);

			Tcl_IncrRefCount(path);
			tcl_provide_declare(interp, path);
			Tcl_DecrRefCount(path);
		}
	if (stream != NULL)
		closedir(stream);
	Tcl_DStringFree(&native);
}
