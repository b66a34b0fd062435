/*
 * How the interpreter is set up: for scripts, and as the plain interpreter.
 *
 * Left to itself CPython looks for its standard library from the place of its program, found
 * through PATH, where another installation may come first. So the home and the program are always
 * told: the home is that of the library we are linked with, the program is the link in our own
 * library folder by which a script can start the interpreter again as sys.executable.
 *
 * For scripts everything else is as `python3 script.py` has it in the bare environment of a CGI
 * program. There, without LANG, python3 chooses UTF-8 for file names and text (PEP 538, PEP 540:
 * UTF-8 mode, in the locale C.UTF-8), with surrogateescape on standard input and output so that no
 * byte is refused. Both are simply set here, and no LC_CTYPE appears in the environment. What the
 * host's own environment says to Python or of a time zone is not meant for scripts and is removed;
 * that is better than to have it ignored, since sys.flags then stays as under python3.
 *
 * The plain interpreter honours its environment as usual. Its home is ours unless PYTHONHOME is
 * set, and heeded, or it was called through a link of a virtual environment, which it then finds.
 */
#include "python_internal.h"

#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/binding.h"
#include "host/error.h"

static void clean_environment(void);
static PyStatus set_places(PyConfig *config);
static PyStatus set_string(PyConfig *config, wchar_t **member, const char *value);
static PyStatus read_command_line(PyConfig *config, int argc, char **argv, bool user_home);
static bool find_virtual_environment(const char *name, char *program);
static bool is_our_program(const char *path);
static bool has_pyvenv(const char *program);
static void program_path(char *path);

int python_config_start(struct error *e)
{
	PyPreConfig early;
	PyConfig config;
	PyStatus status;

	clean_environment();
	setlocale(LC_CTYPE, "C.UTF-8");
	python_arena_start();
	PyPreConfig_InitPythonConfig(&early);
	early.parse_argv = 0;
	early.configure_locale = 0;
	early.coerce_c_locale = 0;
	early.utf8_mode = 1;
	status = Py_PreInitialize(&early);
	if (PyStatus_Exception(status))
		return python_error_status(e, status);

	PyConfig_InitPythonConfig(&config);
	config.parse_argv = 0;
	config.configure_c_stdio = 0;
	status = set_places(&config);
	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	if (PyStatus_Exception(status))
		return python_error_status(e, status);
	return 0;
}

/* unsetenv closes the gap, so the next variable comes to the same place. */
static void clean_environment(void)
{
	char **at = environ;

	while (at != NULL && *at != NULL) {
		size_t length = strcspn(*at, "=");
		char *name = NULL;

		if (strncmp(*at, "PYTHON", 6) == 0 || strncmp(*at, "TZ=", 3) == 0)
			name = strndup(*at, length);
		if (name != NULL)
			unsetenv(name);
		else
			at++;
		free(name);
	}
}

static PyStatus set_places(PyConfig *config)
{
	char program[PATH_MAX];
	PyStatus status;

	program_path(program);
	status = set_string(config, &config->home, EXTHOST_PYTHON_HOME);
	if (!PyStatus_Exception(status))
		status = set_string(config, &config->program_name, program);
	if (!PyStatus_Exception(status))
		status = set_string(config, &config->executable, program);
	if (!PyStatus_Exception(status))
		status = set_string(config, &config->base_executable, program);
	return status;
}

static PyStatus set_string(PyConfig *config, wchar_t **member, const char *value)
{
	return PyConfig_SetBytesString(config, member, value);
}

int python_config_add_library(void)
{
	PyObject *folder = PyUnicode_FromFormat("%s/%s", binding_library(), "python");
	PyObject *path = PySys_GetObject("path");
	int result = -1;

	if (folder != NULL && path != NULL)
		result = PyList_Append(path, folder);
	Py_XDECREF(folder);
	return result;
}

static void program_path(char *path)
{
	snprintf(path, PATH_MAX, "%s/bin/python3", binding_library());
}

/* Whether the command line lets PYTHONHOME be heeded: -E and -I do not. */
static bool heeds_environment(int argc, char **argv)
{
	PyConfig config;
	bool heeds = !PyStatus_Exception(read_command_line(&config, argc, argv, true)) &&
	             !PyStatus_Exception(PyConfig_Read(&config)) && config.use_environment != 0;

	PyConfig_Clear(&config);
	return heeds;
}

int python_interpret(int argc, char **argv)
{
	const char *user_home = getenv("PYTHONHOME");
	bool wants_home =
	    user_home != NULL && *user_home != '\0' && heeds_environment(argc, argv);
	PyConfig config;
	/* It is read by Py_InitializeFromConfig: what was read before, 3.11 copies in part only. */
	PyStatus status = read_command_line(&config, argc, argv, wants_home);

	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	if (PyStatus_IsExit(status))
		return status.exitcode;
	if (PyStatus_IsError(status)) {
		fprintf(stderr, "exthost python: %s\n",
		    status.err_msg != NULL ? status.err_msg : "cannot start");
		return 1;
	}
	if (python_config_add_library() == -1)
		python_error_clear();
	return Py_RunMain();
}

static PyStatus read_command_line(PyConfig *config, int argc, char **argv, bool user_home)
{
	char program[PATH_MAX];
	PyStatus status;

	PyConfig_InitPythonConfig(config);
	status = PyConfig_SetBytesArgv(config, argc, argv);
	if (PyStatus_Exception(status))
		return status;
	if (argc > 0 && find_virtual_environment(argv[0], program)) {
		status = set_string(config, &config->program_name, program);
	} else if (user_home) {
		program_path(program);
		status = set_string(config, &config->program_name, program);
		if (!PyStatus_Exception(status))
			status = set_string(config, &config->executable, program);
	} else {
		status = set_places(config);
	}
	return status;
}

/*
 * Whether the name we were called by, looked for in PATH if it is no path, is a link to us in a
 * virtual environment; then program (of PATH_MAX bytes) is the path of that link.
 */
static bool find_virtual_environment(const char *name, char *program)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/') != NULL) {
		if (snprintf(program, PATH_MAX, "%s", name) >= PATH_MAX)
			return false;
		return is_our_program(program) && has_pyvenv(program);
	}
	while (path != NULL && *path != '\0') {
		int length = (int)strcspn(path, ":");
		int size = snprintf(program, PATH_MAX, "%.*s/%s", length, path, name);

		if (size < PATH_MAX && access(program, X_OK) == 0)
			return is_our_program(program) && has_pyvenv(program);
		path += length + (path[length] == ':');
	}
	return false;
}

static bool is_our_program(const char *path)
{
	struct stat theirs, ours;

	return stat(path, &theirs) == 0 && stat("/proc/self/exe", &ours) == 0 &&
	       theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

/* pyvenv.cfg stands beside the program or one folder above. */
static bool has_pyvenv(const char *program)
{
	int folder = (int)(strrchr(program, '/') - program);
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%.*s/pyvenv.cfg", folder, program);
	if (access(path, R_OK) == 0)
		return true;
	snprintf(path, sizeof(path), "%.*s/../pyvenv.cfg", folder, program);
	return access(path, R_OK) == 0;
}
