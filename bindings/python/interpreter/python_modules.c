/*
 * Which modules the template has loaded, and which a script added.
 *
 * Both questions are answered by comparing sys.modules with the names in it at the fork (the
 * baseline).
 *
 * First: which installed modules did the script load that the template does not have? These names
 * go to the host, which preloads them into the next template. A module is installed if it is built
 * in, or was imported from a directory that was on sys.path at the start. A module below the
 * script's own directory never is, wherever that directory is.
 *
 * Second: which modules belong to the script? These are removed at its end, so that the files and
 * objects that they hold are flushed and finalized. They are the new modules that are not
 * installed, and __main__.
 *
 * A module whose import is an act (`import this` prints) is never reported.
 */
#include "interpreter/python_modules.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "host/base/error.h"
#include "host/binding.h"
#include "interpreter/python_collect.h"
#include "interpreter/python_error.h"
#include "interpreter/python_flush.h"

static PyObject *list_new(void);
static bool is_installed(PyObject *name, PyObject *script_directory);
static PyObject *get_origin(PyObject *name);
static bool is_inside(PyObject *origin);
static int has_root(PyObject *origin, PyObject *script_directory);
static bool worth_noticing(const char *name);
static int count_threads(void);
static PyObject *get_library(void);
static bool is_standard(PyObject *name, PyObject *library);
static int append_weak(PyObject *list, PyObject *module);

enum { NOTICE_LIMIT = 64 };

/*
 * What small scripts import, as long as it keeps a fork cheap. Left out: threading and logging
 * (their handlers after a fork take 400 microseconds); random, and so tempfile and cgi (another
 * 130, to seed); sqlite3 and hashlib (large libraries, whose mappings every fork copies). A host
 * whose scripts use these notices it and preloads them.
 */
static const char *const common[] = {"base64", "collections.abc", "contextlib", "datetime",
    "functools", "html", "http.cookies", "itertools", "json", "linecache", "math", "os", "re",
    "string", "textwrap", "time", "tokenize", "traceback", "urllib.parse", "weakref", NULL};

/* Importing these does something that every script expects to happen for itself. */
static const char *const doing[] = {
    "__hello__", "__phello__", "antigravity", "idlelib", "test", "this", NULL};

static struct {
	PyObject *roots;         /* list of str: the directories of installed modules */
	PyObject *first;         /* set of names: modules that python3 itself loads at its start */
	PyObject *baseline;      /* set of names: modules that the template has at a fork */
	PyObject *spec, *origin; /* interned names: see python_flush.c */
} modules;

int python_modules_start(void)
{
	PyObject *path = PySys_GetObject("path");

	if (path == NULL) {
		PyErr_SetString(PyExc_RuntimeError, "sys.path is missing");
		return -1;
	}
	modules.roots = PySequence_List(path);
	modules.first = PySet_New(PyImport_GetModuleDict());
	modules.spec = PyUnicode_InternFromString("__spec__");
	modules.origin = PyUnicode_InternFromString("origin");
	return PyErr_Occurred() == NULL ? 0 : -1;
}

void python_modules_import_common(void)
{
	for (const char *const *name = common; *name != NULL; name++) {
		PyObject *module = PyImport_ImportModule(*name);

		Py_XDECREF(module);
		PyErr_Clear();
	}
}

/*
 * Register numpy's random generator to be seeded after a fork: it keeps its state in C, so all
 * request processes would draw the same numbers. The standard library's `random` registers itself.
 */
static void seed_after_fork(void)
{
	static bool done;
	PyObject *name = PyUnicode_FromString("numpy.random");
	PyObject *numpy = name != NULL && !done ? PyImport_GetModule(name) : NULL;
	PyObject *seed = numpy != NULL ? PyObject_GetAttrString(numpy, "seed") : NULL;
	PyObject *os = seed != NULL ? PyImport_ImportModule("os") : NULL;
	PyObject *result = NULL;
	PyObject *keywords = os != NULL ? Py_BuildValue("{s:O}", "after_in_child", seed) : NULL;
	PyObject *function = os != NULL ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
	PyObject *nothing = PyTuple_New(0);

	if (function != NULL && keywords != NULL && nothing != NULL)
		result = PyObject_Call(function, nothing, keywords);
	done = done || result != NULL;
	Py_XDECREF(result);
	Py_XDECREF(nothing);
	Py_XDECREF(function);
	Py_XDECREF(keywords);
	Py_XDECREF(os);
	Py_XDECREF(seed);
	Py_XDECREF(numpy);
	Py_XDECREF(name);
	PyErr_Clear();
}

int python_modules_preload(const char *name, struct error *e)
{
	int threads = count_threads();
	PyObject *module = PyImport_ImportModule(name);
	char doing_what[256];

	snprintf(doing_what, sizeof(doing_what), "preload %s", name);
	if (module == NULL)
		return python_error_set(e, doing_what);
	Py_DECREF(module);
	seed_after_fork();
	if (count_threads() != threads)
		return error_set(e, "%s: it started a thread", doing_what);
	python_error_assert_none();
	return 0;
}

/* The number of threads in this process, Python's or not. Always 0 without /proc. */
static int count_threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = 0;

	if (directory == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

/*
 * Frozen, since the collector would otherwise write to the header of every object in each request
 * process. Flushed first, since all request processes inherit what modules printed while they were
 * imported and what is still buffered.
 */
int python_modules_freeze(void)
{
	PyObject *names;

	python_flush_standard();
	names = PySet_New(PyImport_GetModuleDict());
	if (names == NULL)
		return -1;
	Py_XSETREF(modules.baseline, names);
	return python_collect_freeze();
}

void python_modules_notice(struct binding_run *run)
{
	PyObject *names = list_new();
	const char *slash = strrchr(run->script, '/');
	PyObject *directory =
	    PyUnicode_DecodeFSDefaultAndSize(run->script, slash - run->script + 1);
	int told = 0;

	for (Py_ssize_t i = 0; names != NULL && directory != NULL && i < PyList_GET_SIZE(names);
	     i++) {
		PyObject *name = PyList_GET_ITEM(names, i);
		const char *utf8 = PyUnicode_AsUTF8(name);

		if (utf8 == NULL)
			PyErr_Clear();
		else if (told < NOTICE_LIMIT && worth_noticing(utf8) &&
			 is_installed(name, directory)) {
			binding_notice(run, utf8);
			told++;
		}
	}
	Py_XDECREF(names);
	Py_XDECREF(directory);
	PyErr_Clear();
}

/* The names in sys.modules that are not in the baseline, in the order of import. */
static PyObject *list_new(void)
{
	PyObject *all = PyImport_GetModuleDict();
	PyObject *list = PyList_New(0);
	PyObject *name, *module;
	Py_ssize_t position = 0;

	if (list == NULL || PyDict_Size(all) <= PySet_GET_SIZE(modules.baseline))
		return list;
	while (PyDict_Next(all, &position, &name, &module)) {
		if (!PyUnicode_Check(name) || PySet_Contains(modules.baseline, name) != 0)
			continue;
		if (PyList_Append(list, name) == -1) {
			Py_DECREF(list);
			return NULL;
		}
	}
	return list;
}

/* A private module comes with the module that needs it. */
static bool worth_noticing(const char *name)
{
	for (const char *const *other = doing; *other != NULL; other++) {
		size_t length = strlen(*other);

		if (strncmp(name, *other, length) == 0 && strchr(".", name[length]) != NULL)
			return false;
	}
	return name[0] != '_' && strstr(name, "._") == NULL;
}

/* Leaves no exception pending. */
static bool is_installed(PyObject *name, PyObject *script_directory)
{
	PyObject *origin = get_origin(name);
	int installed =
	    origin != NULL && (is_inside(origin) || has_root(origin, script_directory) == 1);

	Py_XDECREF(origin);
	PyErr_Clear();
	return installed == 1;
}

/*
 * Where a loaded module came from: a path, "built-in" or "frozen"; or NULL. Leaves no exception
 * pending.
 */
static PyObject *get_origin(PyObject *name)
{
	PyObject *module = PyDict_GetItemWithError(PyImport_GetModuleDict(), name);
	PyObject *spec = module != NULL ? PyObject_GetAttr(module, modules.spec) : NULL;
	PyObject *origin =
	    spec != NULL && spec != Py_None ? PyObject_GetAttr(spec, modules.origin) : NULL;

	if (origin != NULL && !PyUnicode_Check(origin))
		Py_CLEAR(origin);
	Py_XDECREF(spec);
	PyErr_Clear();
	return origin;
}

static bool is_inside(PyObject *origin)
{
	return PyUnicode_CompareWithASCIIString(origin, "built-in") == 0 ||
	       PyUnicode_CompareWithASCIIString(origin, "frozen") == 0;
}

/* 1, 0, or -1 with an exception. script_directory ends with a slash. */
static int has_root(PyObject *origin, PyObject *script_directory)
{
	Py_ssize_t length = PyUnicode_GetLength(origin);

	if (PyUnicode_Tailmatch(origin, script_directory, 0, length, -1) != 0)
		return 0;
	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(modules.roots); i++) {
		PyObject *root = PyList_GET_ITEM(modules.roots, i);
		Py_ssize_t end = PyUnicode_Check(root) ? PyUnicode_GetLength(root) : 0;

		if (end > 0 && end < length && PyUnicode_ReadChar(origin, end) == '/' &&
		    PyUnicode_Tailmatch(origin, root, 0, length, -1) == 1)
			return 1;
	}
	return 0;
}

PyObject *python_modules_new(void)
{
	return list_new();
}

bool python_modules_can_be_shadowed(PyObject *name)
{
	PyObject *origin;
	bool result;

	if (PySet_Contains(modules.baseline, name) != 1 || PySet_Contains(modules.first, name) != 0)
		return false;
	origin = get_origin(name);
	result = origin != NULL && !is_inside(origin);
	Py_XDECREF(origin);
	return result;
}

int python_modules_forget_packages(void)
{
	PyObject *all = PyImport_GetModuleDict();
	PyObject *names = PyDict_Keys(all);
	PyObject *library = get_library();
	int result = names != NULL && library != NULL ? 0 : -1;

	for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(names); i++) {
		PyObject *name = PyList_GET_ITEM(names, i);

		if (PyUnicode_Check(name) && !is_standard(name, library))
			result = PyDict_DelItem(all, name);
	}
	Py_XDECREF(names);
	Py_XDECREF(library);
	return result;
}

/* The directory of the standard library, with a slash at its end. */
static PyObject *get_library(void)
{
	PyObject *os = PyImport_ImportModule("os");
	PyObject *file = os != NULL ? PyObject_GetAttrString(os, "__file__") : NULL;
	PyObject *directory = NULL;

	if (file != NULL)
		directory = PyUnicode_Substring(file, 0, PyUnicode_GetLength(file) - 5);
	Py_XDECREF(os);
	Py_XDECREF(file);
	return directory;
}

/* True also for a module without a file: __main__, and a module that another module made. */
static bool is_standard(PyObject *name, PyObject *library)
{
	PyObject *origin = get_origin(name);
	const char *path = origin != NULL ? PyUnicode_AsUTF8(origin) : NULL;
	bool result = path == NULL || path[0] != '/' ||
		      (PyUnicode_Tailmatch(origin, library, 0, PY_SSIZE_T_MAX, -1) == 1 &&
			  strstr(path, "-packages/") == NULL);

	Py_XDECREF(origin);
	PyErr_Clear();
	return result;
}

PyObject *python_modules_forget(void)
{
	PyObject *all = PyImport_GetModuleDict();
	PyObject *names = list_new();
	PyObject *nowhere = PyUnicode_FromString("//");
	PyObject *main_name = PyUnicode_FromString("__main__");
	PyObject *weak = PyList_New(0);

	if (names == NULL || nowhere == NULL || main_name == NULL || weak == NULL ||
	    PyList_Append(names, main_name) == -1)
		Py_CLEAR(weak);
	for (Py_ssize_t i = 0; weak != NULL && i < PyList_GET_SIZE(names); i++) {
		PyObject *name = PyList_GET_ITEM(names, i);
		PyObject *module = PyDict_GetItemWithError(all, name);

		if (module == NULL || is_installed(name, nowhere))
			continue;
		if (append_weak(weak, module) == -1 || PyDict_DelItem(all, name) == -1)
			PyErr_Clear();
	}
	Py_XDECREF(names);
	Py_XDECREF(nowhere);
	Py_XDECREF(main_name);
	return weak;
}

static int append_weak(PyObject *list, PyObject *module)
{
	PyObject *reference = PyWeakref_NewRef(module, NULL);
	int result = reference != NULL ? PyList_Append(list, reference) : -1;

	Py_XDECREF(reference);
	return result;
}
