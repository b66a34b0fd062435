/*
 * From the source of a script to its code.
 *
 * Compiling is most of what a small script costs, so the host keeps the code: marshalled as in a
 * .pyc file, behind a header with the interpreter's magic number. The host gives it back only to
 * runs of the very same script. Code that does not look right is compiled again.
 *
 * The compiler gets the bytes of the file, and handles coding cookie, byte order mark and line ends
 * itself. It treats a string unlike a file in three cases: zero bytes, bytes that are no UTF-8, and
 * the text of every syntax error. There the script is run from its file instead, so that python3's
 * own messages come out. That is rare, or the end of the script anyway.
 */
#include "cgi/python_code.h"

#include <marshal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/binding.h"

static PyObject *load_kept(const struct binding_run *run);
static bool has_file_name(PyObject *code, const char *script);
static PyObject *compile_source(const struct binding_run *run);
static bool is_plain(const char *source, size_t size);
static void keep(struct binding_run *run, PyObject *code);
static char *read_file(int fd, size_t *size);

struct header {
	char magic[8];
	int64_t python; /* PyImport_GetMagicNumber, which changes with the bytecode */
	uint64_t size;  /* bytes of marshalled code after the header */
};

static const char magic[8] = "exthpy1";

static int64_t magic_number; /* PyImport_GetMagicNumber asks a module each time */

int python_code_start(void)
{
	magic_number = PyImport_GetMagicNumber();
	return magic_number != -1 ? 0 : -1;
}

PyObject *python_code_load(struct binding_run *run)
{
	PyObject *code = load_kept(run);

	if (code != NULL)
		return code;
	code = compile_source(run);
	if (code != NULL)
		keep(run, code);
	return code;
}

/* Leaves no exception pending. */
static PyObject *load_kept(const struct binding_run *run)
{
	struct header header;
	size_t size;
	char *bytes = run->code >= 0 ? read_file(run->code, &size) : NULL;
	PyObject *code = NULL;

	if (bytes == NULL)
		return NULL;
	if (size > sizeof(header)) {
		memcpy(&header, bytes, sizeof(header));
		if (memcmp(header.magic, magic, sizeof(magic)) == 0 &&
		    header.python == magic_number && header.size == size - sizeof(header))
			code = PyMarshal_ReadObjectFromString(
			    bytes + sizeof(header), (Py_ssize_t)header.size);
	}
	free(bytes);
	if (code != NULL && !has_file_name(code, run->script))
		Py_CLEAR(code);
	PyErr_Clear();
	return code;
}

/* Tracebacks show the file name that was compiled in. */
static bool has_file_name(PyObject *code, const char *script)
{
	PyObject *wanted;
	bool same;

	if (!PyCode_Check(code))
		return false;
	wanted = PyUnicode_DecodeFSDefault(script);
	same =
	    wanted != NULL && PyUnicode_Compare(((PyCodeObject *)code)->co_filename, wanted) == 0;
	Py_XDECREF(wanted);
	return same;
}

/* NULL: run it from its file. Leaves no exception pending. */
static PyObject *compile_source(const struct binding_run *run)
{
	size_t size;
	char *source = read_file(run->source, &size);
	PyObject *name = PyUnicode_DecodeFSDefault(run->script);
	PyObject *code = NULL;

	if (source != NULL && name != NULL && is_plain(source, size))
		code = Py_CompileStringObject(source, name, Py_file_input, NULL, -1);
	free(source);
	Py_XDECREF(name);
	PyErr_Clear();
	return code;
}

static bool is_plain(const char *source, size_t size)
{
	PyObject *text;

	if (memchr(source, '\0', size) != NULL)
		return false;
	text = PyUnicode_DecodeUTF8(source, (Py_ssize_t)size, NULL);
	Py_XDECREF(text);
	return text != NULL;
}

static void keep(struct binding_run *run, PyObject *code)
{
	PyObject *bytes = PyMarshal_WriteObjectToString(code, Py_MARSHAL_VERSION);
	size_t size = bytes != NULL ? (size_t)PyBytes_GET_SIZE(bytes) : 0;
	struct header header = {.python = magic_number, .size = size};
	char *all = bytes != NULL ? malloc(sizeof(header) + size) : NULL;

	if (all != NULL) {
		memcpy(header.magic, magic, sizeof(magic));
		memcpy(all, &header, sizeof(header));
		memcpy(all + sizeof(header), PyBytes_AS_STRING(bytes), size);
		binding_keep_code(run, all, sizeof(header) + size);
	}
	free(all);
	Py_XDECREF(bytes);
	PyErr_Clear();
}

/* The built-in `compile` takes bytes as they are in a file, and has python3's messages. */
PyObject *python_code_compile(const struct binding_run *run)
{
	size_t size = 0;
	char *source = read_file(run->source, &size);
	PyObject *builtins = PyImport_ImportModule("builtins");
	PyObject *code = NULL;

	if (source == NULL)
		PyErr_SetFromErrnoWithFilename(PyExc_OSError, run->script);
	else if (builtins != NULL)
		code = PyObject_CallMethod(builtins, "compile", "y#Nsii", source, (Py_ssize_t)size,
		    PyUnicode_DecodeFSDefault(run->script), "exec", 0, 1);
	free(source);
	Py_XDECREF(builtins);
	return code;
}

/*
 * The whole file from its beginning, with a zero byte behind it, to be freed by the caller; or
 * NULL.
 */
static char *read_file(int fd, size_t *size)
{
	struct stat file;
	char *bytes;
	ssize_t got;

	if (fstat(fd, &file) == -1 || file.st_size >= INT32_MAX)
		return NULL;
	bytes = malloc((size_t)file.st_size + 1);
	*size = 0;
	while (bytes != NULL && *size < (size_t)file.st_size) {
		got = pread(fd, bytes + *size, (size_t)file.st_size - *size, (off_t)*size);
		if (got <= 0)
			break;
		*size += (size_t)got;
	}
	if (bytes != NULL)
		bytes[*size] = '\0';
	return bytes;
}

static void close_one(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void python_code_close(struct binding_run *run)
{
	close_one(&run->source);
	close_one(&run->code);
}

PyObject *python_code_run_file(struct binding_run *run, PyObject *globals)
{
	int fd = dup(run->source);
	FILE *file = fd != -1 ? fdopen(fd, "rb") : NULL;

	if (file == NULL) {
		if (fd != -1)
			close(fd);
		return PyErr_SetFromErrnoWithFilename(PyExc_OSError, run->script);
	}
	rewind(file);
	python_code_close(run);
	return PyRun_FileExFlags(file, run->script, Py_file_input, globals, globals, 1, NULL);
}
