/*
 * A virtual environment, entered by an interpreter that was not started in it.
 *
 * What python3 of the environment does at its start (site.py) is done here later: its packages come
 * onto sys.path with what their .pth files add, behind the standard library, and sys.prefix is the
 * environment's folder. Those of the system are taken off, unless pyvenv.cfg says
 * include-system-site-packages = true, and then stand behind its own. Packages that the template
 * has loaded from the system are forgotten likewise, so that the environment's own are found.
 *
 * It must have been made for this version of Python; which program of it does not matter.
 */
#include "app/python_venv.h"
#include "interpreter/python_include.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "host/binding.h"
#include "interpreter/python_modules.h"
#include "interpreter/python_shadow.h"

struct venv {
	const char *folder;
	bool system; /* include-system-site-packages */
	int major, minor;
};

static int read_configuration(struct venv *venv);
static void take_line(struct venv *venv, char *line);
static int set_prefix(const struct venv *venv);
static PyObject *take_packages_off(void);
static bool is_package_folder(PyObject *object, PyObject *library);
static int add_packages(const char *packages);

int python_venv_enter(const char *folder)
{
	struct venv venv = {.folder = folder};
	char packages[PATH_MAX];
	PyObject *taken, *path = PySys_GetObject("path");
	int result = -1;

	if (read_configuration(&venv) == -1)
		return -1;
	if (venv.major != PY_MAJOR_VERSION || venv.minor != PY_MINOR_VERSION) {
		PySys_WriteStderr("%s: a virtual environment for Python %d.%d, and this is %d.%d\n",
		    folder, venv.major, venv.minor, PY_MAJOR_VERSION, PY_MINOR_VERSION);
		return -1;
	}
	snprintf(packages, sizeof(packages), "%s/lib/python%d.%d/site-packages", folder, venv.major,
	    venv.minor);
	if (access(packages, R_OK | X_OK) == -1) {
		PySys_WriteStderr("%s: not a virtual environment: it has no %s\n", folder,
		    packages + strlen(folder) + 1);
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

/* 0, or -1 with the reason on standard error. */
static int read_configuration(struct venv *venv)
{
	char path[PATH_MAX], line[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/pyvenv.cfg", venv->folder);
	file = fopen(path, "re");
	if (file == NULL) {
		PySys_WriteStderr(
		    "%s: not a virtual environment: it has no pyvenv.cfg\n", venv->folder);
		return -1;
	}
	while (fgets(line, sizeof(line), file) != NULL)
		take_line(venv, line);
	fclose(file);
	if (venv->major != 0)
		return 0;
	PySys_WriteStderr("%s: pyvenv.cfg names no version\n", venv->folder);
	return -1;
}

/* "key = value". The version is "version" to venv, and "version_info" to virtualenv. */
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

/* sys.executable stays ours if the environment's own is not there, in a container image say. */
static int set_prefix(const struct venv *venv)
{
	PyObject *folder = PyUnicode_DecodeFSDefault(venv->folder);
	char program[PATH_MAX];
	PyObject *executable = NULL;
	int result = -1;

	snprintf(program, sizeof(program), "%s/bin/python3", venv->folder);
	if (access(program, X_OK) == 0)
		executable = PyUnicode_DecodeFSDefault(program);
	if (folder != NULL && PySys_SetObject("prefix", folder) == 0 &&
	    PySys_SetObject("exec_prefix", folder) == 0 && !PyErr_Occurred())
		result = executable != NULL ? PySys_SetObject("executable", executable) : 0;
	Py_XDECREF(folder);
	Py_XDECREF(executable);
	return result;
}

/* A list of what was taken off sys.path, in its order. */
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
		PyObject *folder = PyList_GET_ITEM(path, i);

		if (!is_package_folder(folder, library))
			i++;
		else if (PyList_Append(taken, folder) == -1 || PySequence_DelItem(path, i) == -1)
			Py_CLEAR(taken);
	}
	Py_XDECREF(os);
	Py_XDECREF(file);
	Py_XDECREF(library);
	return taken;
}

/* Neither of the standard library (a zip archive, its folder, one inside) nor our own library. */
static bool is_package_folder(PyObject *object, PyObject *library)
{
	const char *folder = PyUnicode_Check(object) ? PyUnicode_AsUTF8(object) : NULL;
	const char *standard = PyUnicode_AsUTF8(library);
	size_t length = standard != NULL ? strlen(standard) : 0;
	const char *suffix = folder != NULL ? strrchr(folder, '.') : NULL;
	char ours[PATH_MAX];

	PyErr_Clear();
	snprintf(ours, sizeof(ours), "%s/python", binding_library());
	if (folder == NULL || length == 0 || strcmp(folder, ours) == 0 ||
	    (suffix != NULL && strcmp(suffix, ".zip") == 0))
		return false;
	return strncmp(folder, standard, length) != 0 || strstr(folder, "-packages") != NULL ||
	       (folder[length] != '\0' && folder[length] != '/');
}

static int add_packages(const char *packages)
{
	PyObject *site = PyImport_ImportModule("site");
	PyObject *folder = PyUnicode_DecodeFSDefault(packages);
	PyObject *result = NULL;

	if (site != NULL && folder != NULL)
		result = PyObject_CallMethod(site, "addsitedir", "O", folder);
	Py_XDECREF(site);
	Py_XDECREF(folder);
	Py_XDECREF(result);
	return result != NULL ? 0 : -1;
}
