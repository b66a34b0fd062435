/*
 * When a folder has changed: tcl_index.c reads one again only then.
 *
 * What Tcl keeps about a path it finds out anew in each run, since there is one more filesystem then
 * (tcl_source.c), and to let go what it had writes to memory that is the template's. Of an absolute
 * path there is nothing to be found out.
 */
#include "interpreter/tcl_internal.h"

#include <sys/stat.h>

Tcl_WideInt tcl_folder_time(Tcl_Obj *folder)
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
