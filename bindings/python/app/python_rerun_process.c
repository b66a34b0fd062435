/*
 * The process of a script that is run again: working folder, umask, signals, locale, environment
 * and descriptors 0, 1, 2 are put back after each run; what remains beyond that (threads, children,
 * descriptors) is looked for.
 *
 * Each look is one system call at most. Descriptors are counted by the size that Linux gives to
 * /proc/self/fd (since 6.2); where it does not, the lowest number that is free tells as long as
 * nobody leaves a hole. What is not looked at: resource limits, priority, user, session, timers
 * of timer_create(2). A process that does such things to itself is no good for rerun.
 */
#include "app/python_rerun_process.h"
#include "interpreter/python_include.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgi/python_end.h"

static bool restore_handlers(void);
static bool restore_locale(void);
static bool has_children(void);
static bool has_new_threads(void);
static nlink_t count_threads(void);
static long count_descriptors(void);

enum { SIGNALS = 32 }; /* those below the real-time ones */

static struct {
	int files[3]; /* copies of 0, 1, 2 */
	int folder, null;
	nlink_t threads; /* links of /proc/self/task: one for each thread, and two */
	mode_t mask;
	sigset_t blocked;
	char *locale;
	char **environment;
	int counted;                 /* the folder /proc/self/fd; -1: there is none */
	int tasks;                   /* /proc/self/task; -1: there is none */
	long descriptors;            /* before the run, as count_descriptors has it */
	PyObject *handlers[SIGNALS]; /* Python's */
	PyObject *get_signal, *set_signal;
} kept;

int rerun_process_keep(void)
{
	PyObject *signals = PyImport_ImportModule("_signal");

	if (signals == NULL)
		return -1;
	kept.get_signal = PyObject_GetAttrString(signals, "getsignal");
	kept.set_signal = PyObject_GetAttrString(signals, "signal");
	Py_DECREF(signals);
	if (kept.get_signal == NULL || kept.set_signal == NULL)
		return -1;
	for (int i = 1; i < SIGNALS; i++) {
		kept.handlers[i] = PyObject_CallFunction(kept.get_signal, "i", i);
		if (kept.handlers[i] == NULL)
			return -1;
	}
	for (int i = 0; i < 3; i++)
		kept.files[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
	kept.folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	kept.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	kept.counted = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	kept.tasks = open("/proc/self/task", O_PATH | O_DIRECTORY | O_CLOEXEC);
	kept.threads = count_threads();
	kept.mask = umask(0);
	umask(kept.mask);
	sigprocmask(SIG_SETMASK, NULL, &kept.blocked);
	kept.locale = strdup(setlocale(LC_ALL, NULL));
	kept.environment = environ;
	if (kept.folder != -1 && kept.null != -1 && kept.files[0] != -1 && kept.files[1] != -1 &&
	    kept.files[2] != -1 && kept.locale != NULL)
		return 0;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

/* Of alarm(2) and setitimer(2). */
static void stop_timers(void)
{
	static const struct itimerval never;

	setitimer(ITIMER_REAL, &never, NULL);
	setitimer(ITIMER_VIRTUAL, &never, NULL);
	setitimer(ITIMER_PROF, &never, NULL);
}

bool rerun_process_restore(void)
{
	bool time_zone = getenv("TZ") != NULL;
	bool good = fchdir(kept.folder) == 0;

	umask(kept.mask);
	stop_timers();
	sigprocmask(SIG_SETMASK, &kept.blocked, NULL);
	good = restore_handlers() && good;
	good = restore_locale() && good;
	environ = kept.environment;
	if (time_zone)
		tzset();
	return good && !python_end_has_threads() && !has_new_threads() && !has_children() &&
	       !rerun_process_has_files();
}

bool rerun_process_has_files(void)
{
	return count_descriptors() != kept.descriptors;
}

static bool restore_handlers(void)
{
	bool good = true;

	for (int i = 1; i < SIGNALS; i++) {
		PyObject *number = PyLong_FromLong(i);
		PyObject *handler =
		    number != NULL ? PyObject_CallOneArg(kept.get_signal, number) : NULL;
		PyObject *old = NULL;

		if (handler != kept.handlers[i] && kept.handlers[i] != Py_None && number != NULL)
			old = PyObject_CallFunctionObjArgs(
			    kept.set_signal, number, kept.handlers[i], NULL);
		good = good && (handler == kept.handlers[i] || old != NULL);
		Py_XDECREF(number);
		Py_XDECREF(handler);
		Py_XDECREF(old);
		PyErr_Clear();
	}
	return good;
}

static bool restore_locale(void)
{
	return strcmp(setlocale(LC_ALL, NULL), kept.locale) == 0 ||
	       setlocale(LC_ALL, kept.locale) != NULL;
}

/* Those that have ended are nobody's any more. */
static bool has_children(void)
{
	pid_t child;

	while ((child = waitpid(-1, NULL, WNOHANG)) > 0)
		;
	return child == 0;
}

/* Threads that a library in C has started too. The kernel knows one for a moment after its end. */
static bool has_new_threads(void)
{
	for (int i = 0; count_threads() > kept.threads; i++) {
		if (i == 20)
			return true;
		usleep(100);
	}
	return false;
}

static nlink_t count_threads(void)
{
	struct stat folder;

	return fstat(kept.tasks, &folder) == 0 ? folder.st_nlink : 0;
}

static long count_descriptors(void)
{
	struct stat folder;
	int free_one;

	if (fstat(kept.counted, &folder) == 0 && folder.st_size > 0)
		return (long)folder.st_size;
	free_one = fcntl(kept.files[2], F_DUPFD_CLOEXEC, 3);
	if (free_one != -1)
		close(free_one);
	return free_one;
}

int rerun_process_lend(int body, int reply)
{
	kept.descriptors = count_descriptors();
	return dup2(body >= 0 ? body : kept.files[0], 0) == -1 || dup2(reply, 1) == -1 ? -1 : 0;
}

int rerun_process_silence(void)
{
	return dup2(kept.null, 1) == -1 ? -1 : 0;
}

int rerun_process_return(void)
{
	int result = 0;

	for (int i = 0; i < 3; i++)
		if (dup2(kept.files[i], i) == -1)
			result = -1;
	return result;
}
