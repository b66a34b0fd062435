/* sys.path: what a run adds to the template's, and how that is removed at its end. */
#include "interpreter/python_path.h"
#include "interpreter/python_include.h"

#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "host/binding.h"
#include "interpreter/python_settings.h"
#include "interpreter/python_shadow.h"
#include "interpreter/python_venv.h"

/*
 * sys.path of the template. A run changes this very list, which the template keeps alive: see
 * python_run.c.
 */
static struct {
	PyObject *path;   /* the list */
	PyObject *places; /* a copy of it */
} held;

int python_path_add_library(void)
{
	PyObject *directory = PyUnicode_FromFormat("%s/%s", binding_library(), "python");
	PyObject *path = PySys_GetObject("path");
	int result = -1;

	if (directory != NULL && path != NULL)
		result = PyList_Append(path, directory);
	Py_XDECREF(directory);
	return result;
}

int python_path_hold(void)
{
	held.path = Py_XNewRef(PySys_GetObject("path"));
	held.places = held.path != NULL ? PySequence_List(held.path) : NULL;
	return PyErr_Occurred() == NULL ? 0 : -1;
}

int python_path_take_list(const char *directories)
{
	PyObject *path = PySys_GetObject("path");
	char *copy = strdup(directories), *rest = copy, *directory;
	int result = copy != NULL && path != NULL ? 0 : -1;

	for (Py_ssize_t i = 0; result == 0 && (directory = strsep(&rest, ":")) != NULL;) {
		PyObject *name;

		if (*directory == '\0')
			continue;
		name = PyUnicode_DecodeFSDefault(directory);
		result = name != NULL ? PyList_Insert(path, i++, name) : -1;
		if (result == 0)
			result = python_shadow_take(directory);
		Py_XDECREF(name);
	}
	free(copy);
	return result;
}

/* As python3: the directory in which the script really lies, links followed, comes first. */
int python_path_take_script(const char *script)
{
	char *real = realpath(script, NULL);
	PyObject *path = PySys_GetObject("path");
	PyObject *directory;
	int result = -1;

	if (path == NULL || !PyList_Check(path)) {
		PyErr_SetString(PyExc_RuntimeError, "sys.path is not a list");
		free(real);
		return -1;
	}
	directory = real != NULL ? PyUnicode_DecodeFSDefault(dirname(real))
				 : PyErr_SetFromErrnoWithFilename(PyExc_OSError, script);
	if (directory != NULL && PyList_Insert(path, 0, directory) == 0)
		result = python_shadow_take(real);
	Py_XDECREF(directory);
	free(real);
	return result;
}

/* Each inserts at the front, so the last one comes first. */
int python_path_take_run(const struct binding_run *run)
{
	const char *venv = run->settings[PYTHON_SETTING_VENV];
	const char *directories = run->settings[PYTHON_SETTING_PATH];

	if ((venv != NULL && python_venv_enter(venv) == -1) ||
	    (directories != NULL && python_path_take_list(directories) == -1))
		return -1;
	return python_path_take_script(run->script);
}

static bool is_place(const PyObject *item)
{
	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(held.places); i++)
		if (PyList_GET_ITEM(held.places, i) == item)
			return true;
	return false;
}

void python_path_drop(void)
{
	if (held.path == NULL || held.places == NULL)
		return;
	for (Py_ssize_t i = PyList_GET_SIZE(held.path); i-- > 0;)
		if (!is_place(PyList_GET_ITEM(held.path, i)))
			PyList_SetSlice(held.path, i, i + 1, NULL);
}
