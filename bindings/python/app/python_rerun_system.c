/*
 * Rerun: the state of the interpreter. After each run, sys and builtins are restored name by name.
 *
 * The standard files stay the same objects, since modules that stay loaded may keep them (logging
 * does). Their settings are restored. A file that was closed or detached is replaced. So is
 * standard input after each request with a body, since it may buffer a part of that.
 */
#include "app/python_rerun_system.h"
#include "interpreter/python_include.h"

/* The names of a module: its dict, and a copy to restore from. */
struct names {
	PyObject *now, *kept;
};

static int keep_names(const char *module_name, struct names *names);
static void restore_names(struct names *names);
static void rebuild_names(struct names *names);
static int begin_file(int number);
static bool is_usable(PyObject *file);
static PyObject *make_file(int number);
static int set_file(int number, PyObject *file);
static int reset_file(int number, PyObject *file);

static const char *const file_names[] = {"stdin", "stdout", "stderr"};
static const char *const original_names[] = {"__stdin__", "__stdout__", "__stderr__"};
static const char *const errors[] = {"surrogateescape", "surrogateescape", "backslashreplace"};

static struct {
	struct names system, builtins;
	PyObject *path;
	PyObject *settings;     /* the names of the arguments to reconfigure */
	PyObject *values[3][5]; /* their values, for each file; unused for 0 */
	PyObject *reconfigure;  /* the name "reconfigure", interned */
	int recursion_limit;
	bool stdin_used;
} kept;

int rerun_system_keep(void)
{
	PyObject *path = PySys_GetObject("path");

	kept.recursion_limit = Py_GetRecursionLimit();
	kept.path = path != NULL ? PySequence_List(path) : NULL;
	kept.reconfigure = PyUnicode_InternFromString("reconfigure");
	kept.settings = Py_BuildValue(
	    "(sssss)", "encoding", "errors", "newline", "line_buffering", "write_through");
	for (int i = 1; i < 3; i++) {
		kept.values[i][0] = PyUnicode_InternFromString("utf-8");
		kept.values[i][1] = PyUnicode_InternFromString(errors[i]);
		kept.values[i][2] = PyUnicode_InternFromString("\n");
		kept.values[i][3] = PyBool_FromLong(i == 2);
		kept.values[i][4] = Py_NewRef(Py_False);
	}
	if (PyErr_Occurred() || keep_names("sys", &kept.system) == -1)
		return -1;
	return keep_names("builtins", &kept.builtins);
}

static int keep_names(const char *module_name, struct names *names)
{
	PyObject *module = PyImport_ImportModule(module_name);

	names->now = module != NULL ? PyModule_GetDict(module) : NULL;
	names->kept = names->now != NULL ? PyDict_Copy(names->now) : NULL;
	/* The reference to the module is kept for good. */
	return names->kept != NULL ? 0 : -1;
}

int rerun_system_begin(void)
{
	PyObject *path = PyList_GetSlice(kept.path, 0, PyList_GET_SIZE(kept.path));
	int result = path != NULL ? PySys_SetObject("path", path) : -1;

	Py_XDECREF(path);
	for (int i = 0; result == 0 && i < 3; i++)
		result = begin_file(i);
	kept.stdin_used = false;
	return result;
}

static int begin_file(int number)
{
	PyObject *file = PyDict_GetItemString(kept.system.kept, file_names[number]);
	int result;

	if (file != NULL && is_usable(file) && (number != 0 || !kept.stdin_used))
		return number != 0 ? reset_file(number, file) : 0;
	PyErr_Clear();
	file = make_file(number);
	result = file != NULL ? set_file(number, file) : -1;
	Py_XDECREF(file);
	return result;
}

/* True if the file is neither closed nor detached. */
static bool is_usable(PyObject *file)
{
	PyObject *closed = PyObject_GetAttrString(file, "closed");
	bool usable = closed == Py_False;

	Py_XDECREF(closed);
	PyErr_Clear();
	return usable;
}

/* As Python makes it at its start: see create_stdio in its pylifecycle.c. */
static PyObject *make_file(int number)
{
	PyObject *io = PyImport_ImportModule("io");
	PyObject *buffer = NULL, *raw = NULL, *file = NULL;
	char name[16];

	if (io != NULL)
		buffer = PyObject_CallMethod(io, "open", "isiOOOi", number,
		    number == 0 ? "rb" : "wb", -1, Py_None, Py_None, Py_None, 0);
	if (buffer != NULL)
		raw = PyObject_GetAttrString(buffer, "raw");
	PyOS_snprintf(name, sizeof(name), "<%s>", file_names[number]);
	if (raw != NULL) {
		PyObject *text = PyUnicode_FromString(name);

		if (text != NULL && PyObject_SetAttrString(raw, "name", text) == 0)
			file = PyObject_CallMethod(io, "TextIOWrapper", "OsssOO", buffer, "utf-8",
			    errors[number], "\n", number == 2 ? Py_True : Py_False, Py_False);
		Py_XDECREF(text);
	}
	if (file != NULL) {
		PyObject *mode = PyUnicode_FromString(number == 0 ? "r" : "w");

		if (mode == NULL || PyObject_SetAttrString(file, "mode", mode) == -1)
			Py_CLEAR(file);
		Py_XDECREF(mode);
	}
	Py_XDECREF(io);
	Py_XDECREF(buffer);
	Py_XDECREF(raw);
	return file;
}

static int set_file(int number, PyObject *file)
{
	return PySys_SetObject(file_names[number], file) == -1 ||
		       PySys_SetObject(original_names[number], file) == -1 ||
		       PyDict_SetItemString(kept.system.kept, file_names[number], file) == -1 ||
		       PyDict_SetItemString(kept.system.kept, original_names[number], file) == -1
		   ? -1
		   : 0;
}

static int reset_file(int number, PyObject *file)
{
	PyObject *arguments[6] = {file};
	PyObject *done;

	for (int i = 0; i < 5; i++)
		arguments[i + 1] = kept.values[number][i];
	done = PyObject_VectorcallMethod(kept.reconfigure, arguments, 1, kept.settings);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

/* Undo sys.settrace and sys.setprofile: a profiler would be called in the next run. */
static void stop_tracing(void)
{
	const PyThreadState *state = PyThreadState_Get();

	if (state->c_tracefunc != NULL)
		PyEval_SetTrace(NULL, NULL);
	if (state->c_profilefunc != NULL)
		PyEval_SetProfile(NULL, NULL);
}

void rerun_system_restore(bool had_body)
{
	stop_tracing();
	kept.stdin_used = had_body;
	restore_names(&kept.system);
	restore_names(&kept.builtins);
	Py_SetRecursionLimit(kept.recursion_limit);
	PyGC_Enable();
	PyErr_Clear();
}

/*
 * If no name was added or removed, both dicts have the same order, and are compared side by side.
 */
static void restore_names(struct names *names)
{
	Py_ssize_t here = 0, there = 0;
	PyObject *name, *value, *name_now, *value_now;

	if (PyDict_Size(names->now) != PyDict_Size(names->kept)) {
		rebuild_names(names);
		return;
	}
	while (PyDict_Next(names->kept, &here, &name, &value) &&
	       PyDict_Next(names->now, &there, &name_now, &value_now)) {
		if (name_now != name) {
			rebuild_names(names);
			return;
		}
		if (value_now != value)
			PyDict_SetItem(names->now, name, value);
	}
}

static void rebuild_names(struct names *names)
{
	PyObject *old = PyDict_Copy(names->now);

	/* Released last: an old value may have a __del__ that needs the new ones. */
	PyDict_Clear(names->now);
	PyDict_Update(names->now, names->kept);
	Py_XDECREF(old);
}
