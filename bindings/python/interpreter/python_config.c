/*
 * How the interpreter is configured: for scripts, and as the plain interpreter.
 *
 * By default CPython searches for its standard library from the place of its program, which it
 * finds through PATH, where another installation may come first. So both are set here: sys.prefix
 * is that of the linked library, and sys.executable is the link in the host's library directory by
 * which a script can start the interpreter again. config.home could replace the prefix, but it
 * stands for a user's PYTHONHOME: with it CPython reads neither pyvenv.cfg nor a ._pth file.
 *
 * For scripts everything else is as `python3 script.py` has it in the bare environment of a CGI
 * program. There, without LANG, python3 chooses UTF-8 for file names and text (PEP 538, PEP 540:
 * UTF-8 mode, in the locale C.UTF-8), with surrogateescape on standard input and output so that no
 * byte is refused. Both are simply set here, so no LC_CTYPE appears in the environment. The host's
 * own PYTHON variables and time zone are not meant for scripts, so they are removed. To ignore them
 * instead would show in sys.flags.
 *
 * The plain interpreter honours its environment as usual. It uses the places above, except in three
 * cases. PYTHONHOME is set and not ignored: it decides. The program was called through a link that
 * has places of its own, in a virtual environment or beside a ._pth file, which sets sys.path
 * (https://docs.python.org/3/using/windows.html#finding-modules; getpath.py reads it on all
 * systems): these decide. The program is a copy outside of the host's library directory: CPython
 * searches as it does by default.
 */
#include "interpreter/python_config.h"
#include "interpreter/python_include.h"

#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/error.h"
#include "host/base/tuning.h"
#include "host/binding.h"
#include "interpreter/python_error.h"
#include "interpreter/python_memory.h"
#include "interpreter/python_path.h"

/* How the plain interpreter was called. */
struct place {
	char program[PATH_MAX]; /* the link that was called; "": not found */
	bool copy;              /* the program is not the one in the library directory */
	bool venv;              /* the link is in a virtual environment */
	bool pth;               /* a ._pth file lies beside the link */
};

static void clean_environment(void);
static PyStatus set_places(PyConfig *config);
static PyStatus set_prefix(PyConfig *config);
static PyStatus set_string(PyConfig *config, wchar_t **member, const char *value);
static struct place find_place(const char *name);
static PyStatus read_command_line(
    PyConfig *config, int argc, char **argv, const struct place *place, bool user_home);
static bool find_program(const char *name, char *program);
static bool is_our_program(const char *path);
static bool has_file(const char *program, size_t length, const char *rest);
static void program_path(char *path);

int python_config_start(struct error *e)
{
	PyPreConfig early;
	PyConfig config;
	PyStatus status;

	clean_environment();
	setlocale(LC_CTYPE, "C.UTF-8");
	if (tuning_has(TUNING_PYTHON_ARENAS))
		python_memory_start();
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

/* unsetenv closes the gap, so the next variable moves to the same index. */
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
	status = set_prefix(config);
	if (!PyStatus_Exception(status))
		status = set_string(config, &config->program_name, program);
	if (!PyStatus_Exception(status))
		status = set_string(config, &config->executable, program);
	if (!PyStatus_Exception(status))
		status = set_string(config, &config->base_executable, program);
	return status;
}

static PyStatus set_prefix(PyConfig *config)
{
	PyStatus status = set_string(config, &config->prefix, EXTHOST_PYTHON_HOME);

	if (!PyStatus_Exception(status))
		status = set_string(config, &config->exec_prefix, EXTHOST_PYTHON_HOME);
	return status;
}

static PyStatus set_string(PyConfig *config, wchar_t **member, const char *value)
{
	return PyConfig_SetBytesString(config, member, value);
}

static void program_path(char *path)
{
	snprintf(path, PATH_MAX, "%s/bin/python3", binding_library());
}

/* True if the command line lets PYTHONHOME count: -E and -I do not. */
static bool heeds_environment(int argc, char **argv, const struct place *place)
{
	PyConfig config;
	PyStatus status = read_command_line(&config, argc, argv, place, true);
	bool heeds = !PyStatus_Exception(status) && !PyStatus_Exception(PyConfig_Read(&config)) &&
		     config.use_environment != 0;

	PyConfig_Clear(&config);
	return heeds;
}

int python_interpret(int argc, char **argv)
{
	const char *user_home = getenv("PYTHONHOME");
	const struct place place = find_place(argc > 0 ? argv[0] : "");
	bool wants_home =
	    user_home != NULL && *user_home != '\0' && heeds_environment(argc, argv, &place);
	PyConfig config;
	/*
	 * Py_InitializeFromConfig reads it: 3.11 copies a configuration that was read before in
	 * part only.
	 */
	PyStatus status = read_command_line(&config, argc, argv, &place, wants_home);

	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	/* As python3: "Fatal Python error: ...", with the exception, if there is one. */
	if (PyStatus_Exception(status))
		Py_ExitStatusException(status);
	/* A ._pth file lists all of sys.path. */
	if (!place.pth && python_path_add_library() == -1)
		python_error_clear();
	return Py_RunMain();
}

static PyStatus read_command_line(
    PyConfig *config, int argc, char **argv, const struct place *place, bool user_home)
{
	char program[PATH_MAX];
	PyStatus status;

	PyConfig_InitPythonConfig(config);
	status = PyConfig_SetBytesArgv(config, argc, argv);
	if (PyStatus_Exception(status))
		return status;
	if (place->copy || place->venv || place->pth) {
		status = set_string(config, &config->program_name, place->program);
		if (!PyStatus_Exception(status) && !place->copy)
			status = set_prefix(config);
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

static struct place find_place(const char *name)
{
	struct place place = {0};
	char own[PATH_MAX];
	size_t directory;

	if (!find_program(name, place.program)) {
		place.program[0] = '\0';
		return place;
	}
	program_path(own);
	directory = (size_t)(strrchr(place.program, '/') + 1 - place.program);
	place.copy = !is_our_program(own);
	place.venv = has_file(place.program, directory, "pyvenv.cfg") ||
		     has_file(place.program, directory, "../pyvenv.cfg");
	place.pth = has_file(place.program, strlen(place.program), "._pth");
	return place;
}

/*
 * True if the name that the program was called by, searched in PATH if it is no path, is a link to
 * this program. Then program (PATH_MAX bytes) is the path of that link.
 */
static bool find_program(const char *name, char *program)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/') != NULL)
		return snprintf(program, PATH_MAX, "%s", name) < PATH_MAX &&
		       is_our_program(program);
	while (path != NULL && *path != '\0') {
		int length = (int)strcspn(path, ":");
		int size = snprintf(program, PATH_MAX, "%.*s/%s", length, path, name);

		if (size < PATH_MAX && access(program, X_OK) == 0)
			return is_our_program(program);
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

/*
 * True if a readable file has this path: the first length bytes of the program's path, then rest.
 */
static bool has_file(const char *program, size_t length, const char *rest)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%.*s%s", (int)length, program, rest);
	return access(path, R_OK) == 0;
}
