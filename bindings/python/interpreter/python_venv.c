/*
 * A virtual environment, entered by an interpreter that was not started in it.
 *
 * This does later what python3 of the environment does at its start (site.py). The environment's
 * packages go onto sys.path behind the standard library, with what their .pth files add, and
 * sys.prefix is set. The system's packages are removed, or moved behind the environment's own if
 * pyvenv.cfg says include-system-site-packages = true. Packages of the system that the template has
 * loaded are removed from sys.modules, so that the environment's own are found.
 *
 * The environment must be made for this version of Python, by whichever program.
 */
#include "interpreter/python_venv.h"
#include "interpreter/python_include.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "host/base/error.h"
#include "host/binding.h"
#include "interpreter/python_modules.h"
#include "interpreter/python_shadow.h"

struct venv {
	const char *directory;
	bool system; /* include-system-site-packages = true */
	int major, minor;
	char packages[PATH_MAX]; /* the directory of its packages */
};

static int look_at(struct venv *venv, struct error *e);
static void take_line(struct venv *venv, char *line);
static int set_prefix(const struct venv *venv);
static PyObject *take_packages_off(void);
static bool is_package_directory(PyObject *object, PyObject *library);
static int add_packages(const char *packages);

int python_venv_check(const char *directory, struct error *e)
{
	struct venv venv = {.directory = directory};

	return look_at(&venv, e);
}

int python_venv_enter(const char *directory)
{
	struct venv venv = {.directory = directory};
	PyObject *taken, *path = PySys_GetObject("path");
	const char *packages = venv.packages;
	struct error e;
	int result = -1;

	if (look_at(&venv, &e) == -1) {
		PySys_WriteStderr("%s\n", e.message);
		return -1;
	}
	if (set_prefix(&venv) == -1 ||
	    (venv.system ? python_shadow_take(packages) : python_modules_forget_packages()) == -1)
		return -1;
	taken = take_packages_off();
	if (taken != NULL && add_packages(packages) == 0)
		result = venv.system ? PyList_SetSlice(path, PyList_GET_SIZE(path),
					   PyList_GET_SIZE(path), taken)
				     : 0;
	Py_XDECREF(taken);
	return result;
}

/* Fill in what the directory says of itself. Returns 0, or -1 with *e filled. */
static int look_at(struct venv *venv, struct error *e)
{
	char path[PATH_MAX], line[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/pyvenv.cfg", venv->directory);
	file = fopen(path, "re");
	if (file == NULL)
		return error_set(
		    e, "%s: not a virtual environment: it has no pyvenv.cfg", venv->directory);
	while (fgets(line, sizeof(line), file) != NULL)
		take_line(venv, line);
	fclose(file);
	if (venv->major == 0)
		return error_set(e, "%s: pyvenv.cfg names no version", venv->directory);
	if (venv->major != PY_MAJOR_VERSION || venv->minor != PY_MINOR_VERSION)
		return error_set(e, "%s: a virtual environment for Python %d.%d, but this is %d.%d",
		    venv->directory, venv->major, venv->minor, PY_MAJOR_VERSION, PY_MINOR_VERSION);
	snprintf(venv->packages, sizeof(venv->packages), "%s/lib/python%d.%d/site-packages",
	    venv->directory, venv->major, venv->minor);
	if (access(venv->packages, R_OK | X_OK) == -1)
		return error_set(e, "%s: not a virtual environment: it has no %s", venv->directory,
		    venv->packages + strlen(venv->directory) + 1);
	return 0;
}

/*
 * Reads "key = value". The version is called "version" by venv, and "version_info" by virtualenv.
 */
static void take_line(struct venv *venv, char *line)
{
	char *value = strchr(line, '=');
	size_t length;

	if (value == NULL)
		return;
	*value++ = '\0';
	for (length = strlen(line); length > 0 && isspace((unsigned char)line[length - 1]);)
		line[--length] = '\0';
	value += strspn(value, " \t");
	if (strcasecmp(line, "include-system-site-packages") == 0)
		venv->system = strncasecmp(value, "true", 4) == 0;
	else if (strcasecmp(line, "version") == 0 || strcasecmp(line, "version_info") == 0)
		sscanf(value, "%d.%d", &venv->major, &venv->minor);
}

/* Leaves sys.executable if the environment has no program of its own, as in a container image. */
static int set_prefix(const struct venv *venv)
{
	PyObject *directory = PyUnicode_DecodeFSDefault(venv->directory);
	char program[PATH_MAX];
	PyObject *executable = NULL;
	int result = -1;

	snprintf(program, sizeof(program), "%s/bin/python3", venv->directory);
	if (access(program, X_OK) == 0)
		executable = PyUnicode_DecodeFSDefault(program);
	if (directory != NULL && PySys_SetObject("prefix", directory) == 0 &&
	    PySys_SetObject("exec_prefix", directory) == 0 && !PyErr_Occurred())
		result = executable != NULL ? PySys_SetObject("executable", executable) : 0;
	Py_XDECREF(directory);
	Py_XDECREF(executable);
	return result;
}

/* Returns a list of what was removed from sys.path, in its order. */
static PyObject *take_packages_off(void)
{
	PyObject *path = PySys_GetObject("path");
	PyObject *os = PyImport_ImportModule("os");
	PyObject *file = os != NULL ? PyObject_GetAttrString(os, "__file__") : NULL;
	PyObject *library = NULL, *taken = NULL;

	/* Without "/os.py". */
	if (file != NULL)
		library = PyUnicode_Substring(file, 0, PyUnicode_GET_LENGTH(file) - 6);
	if (library != NULL && path != NULL)
		taken = PyList_New(0);
	for (Py_ssize_t i = 0; taken != NULL && i < PyList_GET_SIZE(path);) {
		PyObject *directory = PyList_GET_ITEM(path, i);

		if (!is_package_directory(directory, library))
			i++;
		else if (PyList_Append(taken, directory) == -1 || PySequence_DelItem(path, i) == -1)
			Py_CLEAR(taken);
	}
	Py_XDECREF(os);
	Py_XDECREF(file);
	Py_XDECREF(library);
	return taken;
}

/*
 * True unless it is of the standard library (a zip archive, its directory, a directory inside) or
 * the host's own library.
 */
static bool is_package_directory(PyObject *object, PyObject *library)
{
	const char *directory = PyUnicode_Check(object) ? PyUnicode_AsUTF8(object) : NULL;
	const char *standard = PyUnicode_AsUTF8(library);
	size_t length = standard != NULL ? strlen(standard) : 0;
	const char *suffix = directory != NULL ? strrchr(directory, '.') : NULL;
	char ours[PATH_MAX];

	PyErr_Clear();
	snprintf(ours, sizeof(ours), "%s/python", binding_library());
	if (directory == NULL || length == 0 || strcmp(directory, ours) == 0 ||
	    (suffix != NULL && strcmp(suffix, ".zip") == 0))
		return false;
	return strncmp(directory, standard, length) != 0 ||
	       strstr(directory, "-packages") != NULL ||
	       (directory[length] != '\0' && directory[length] != '/');
}

static int add_packages(const char *packages)
{
	PyObject *site = PyImport_ImportModule("site");
	PyObject *directory = PyUnicode_DecodeFSDefault(packages);
	PyObject *result = NULL;

	if (site != NULL && directory != NULL)
		result = PyObject_CallMethod(site, "addsitedir", "O", directory);
	Py_XDECREF(site);
	Py_XDECREF(directory);
	Py_XDECREF(result);
	return result != NULL ? 0 : -1;
}
