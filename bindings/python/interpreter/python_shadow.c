/*
 * A script's own modules that have the name of a module of the template.
 *
 * Under python3 the script's directory is first on sys.path, so `import json` finds a json.py
 * there. Here json is loaded already, so Python would never search for it. So each run reads the
 * directory once, and removes from sys.modules every module of the template whose name it finds
 * there, with its submodules. It leaves built-in modules, and the modules that python3 itself loads
 * before a script starts: these win under python3 too.
 */
#include "interpreter/python_shadow.h"
#include "interpreter/python_include.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interpreter/python_modules.h"

enum { ENTRIES = 2048 }; /* bytes of a directory that are read at a time */

static int take_entry(const char *directory, const struct dirent64 *entry);
static bool is_module_file(const char *suffix);
static bool is_package(const char *directory, const char *name);
static int unload(PyObject *name);

/* Not by readdir(3), which has a buffer of 32 KiB: a run writes to as little memory as it can. */
int python_shadow_take(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent64 entries[ENTRIES / sizeof(struct dirent64)];
	ssize_t size;
	int result = 0;

	if (fd == -1)
		return 0;
	while (result == 0 && (size = getdents64(fd, entries, sizeof(entries))) > 0)
		for (ssize_t at = 0; result == 0 && at < size;) {
			const struct dirent64 *entry = (void *)((char *)entries + at);

			result = take_entry(directory, entry);
			at += entry->d_reclen;
		}
	close(fd);
	return result;
}

static int take_entry(const char *directory, const struct dirent64 *entry)
{
	size_t length = strcspn(entry->d_name, ".");
	const char *suffix = entry->d_name + length;
	PyObject *name;
	int result = 0;

	if (length == 0 || !is_module_file(suffix))
		return 0;
	name = PyUnicode_DecodeFSDefaultAndSize(entry->d_name, (Py_ssize_t)length);
	if (name == NULL)
		return -1;
	if (python_modules_can_be_shadowed(name) &&
	    (*suffix != '\0' || is_package(directory, entry->d_name)))
		result = unload(name);
	Py_DECREF(name);
	return result;
}

/* "json.py", "json.cpython-311-x86_64-linux-gnu.so", or "json", which may be a package. */
static bool is_module_file(const char *suffix)
{
	const char *last = strrchr(suffix, '.');

	return last == NULL || strcmp(suffix, ".py") == 0 || strcmp(suffix, ".pyc") == 0 ||
	       strcmp(last, ".so") == 0;
}

/* A directory without __init__.py comes after every module on sys.path. */
static bool is_package(const char *directory, const char *name)
{
	char path[PATH_MAX + NAME_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s/__init__.py", directory, name);
	return access(path, F_OK) == 0;
}

static int unload(PyObject *name)
{
	PyObject *all = PyImport_GetModuleDict();
	PyObject *below = PyUnicode_FromFormat("%U.", name);
	PyObject *names = PyDict_Keys(all);
	int result = below != NULL && names != NULL ? 0 : -1;

	for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(names); i++) {
		PyObject *other = PyList_GET_ITEM(names, i);

		if (PyUnicode_Check(other) &&
		    (PyUnicode_Compare(other, name) == 0 ||
			PyUnicode_Tailmatch(other, below, 0, PY_SSIZE_T_MAX, -1) == 1))
			result = PyDict_DelItem(all, other);
	}
	Py_XDECREF(below);
	Py_XDECREF(names);
	return result;
}
