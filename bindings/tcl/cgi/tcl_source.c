/*
 * A script that is read from an open descriptor and still runs as under `tclsh path`: with the same
 * reading (encoding, byte order mark, end at ^Z), [info script], [info frame], and error messages
 * with file and line.
 *
 * Only Tcl's own evaluation of a file gives all of that, and it takes a path. But the host has
 * checked the descriptor, and the path may be another file by now. So a virtual filesystem claims
 * the path, and holds this one file, until Tcl has opened it. From then on the path means again
 * what it always means.
 */
#include "cgi/tcl_source.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packages/tcl_wapp.h"

struct source {
	const char *path;
	int descriptor; /* -1: Tcl has opened it, or there is none */
};

static int has_path(Tcl_Obj *path, void **data);
static int stat_source(Tcl_Obj *path, Tcl_StatBuf *status);
static Tcl_Channel open_source(Tcl_Interp *interp, Tcl_Obj *path, int mode, int permissions);

static const Tcl_Filesystem filesystem = {
    .typeName = "exthost",
    .structureLength = sizeof(Tcl_Filesystem),
    .version = TCL_FILESYSTEM_VERSION_1,
    .pathInFilesystemProc = has_path,
    .statProc = stat_source,
    .openFileChannelProc = open_source,
};

int tcl_source_evaluate(Tcl_Interp *interp, Tcl_Obj *path, int descriptor)
{
	struct source source = {.path = Tcl_GetString(path), .descriptor = descriptor};
	int code = tcl_wapp_begin(interp, descriptor);

	Tcl_FSRegister(&source, &filesystem);
	if (code == TCL_OK)
		code = Tcl_FSEvalFileEx(interp, path, NULL);
	if (source.descriptor != -1)
		close(source.descriptor);
	Tcl_FSUnregister(&filesystem);
	return code;
}

static int has_path(Tcl_Obj *path, void **data)
{
	const struct source *source = Tcl_FSData(&filesystem);

	(void)data;
	if (source == NULL || source->descriptor == -1)
		return -1;
	return strcmp(Tcl_GetString(path), source->path) == 0 ? TCL_OK : -1;
}

static int stat_source(Tcl_Obj *path, Tcl_StatBuf *status)
{
	const struct source *source = Tcl_FSData(&filesystem);

	(void)path;
	return fstat(source->descriptor, status);
}

static Tcl_Channel open_source(Tcl_Interp *interp, Tcl_Obj *path, int mode, int permissions)
{
	struct source *source = Tcl_FSData(&filesystem);
	Tcl_Channel channel;

	(void)interp;
	(void)path;
	(void)mode;
	(void)permissions;
	channel = Tcl_MakeFileChannel((void *)(intptr_t)source->descriptor, TCL_READABLE);
	if (channel == NULL) {
		errno = EIO;
		return NULL;
	}
	source->descriptor = -1;
	/* Drop what Tcl has cached about the path, in this very word too. */
	Tcl_FSMountsChanged(&filesystem);
	return channel;
}
