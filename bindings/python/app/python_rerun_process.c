/*
 * Rerun: what the kernel and the C library know of the process. Working directory, umask, signals,
 * locale, environment and descriptors 0, 1 and 2 are restored after each run; threads, children and
 * descriptors that a run left are detected.
 *
 * Each check takes one system call at most. Descriptors are counted by the size that Linux gives to
 * /proc/self/fd (since 6.2). Where it does not, the lowest free number is compared, which is right
 * as long as no script leaves a gap. Not checked: resource limits, priority, user, session, and
 * timers of timer_create(2). A script that changes these is not suited to rerun.
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

enum { SIGNALS = 32 }; /* the numbers below the real-time signals */

static struct {
	int files[3]; /* duplicates of descriptors 0, 1 and 2 */
	int directory, null;
	nlink_t threads; /* the link count of /proc/self/task: the number of threads and two */
	mode_t mask;
	sigset_t blocked;
	char *locale;
	char **environment;
	int counted;                 /* the directory /proc/self/fd; -1: there is none */
	int tasks;                   /* the directory /proc/self/task; -1: there is none */
	long descriptors;            /* count_descriptors before the run */
	PyObject *handlers[SIGNALS]; /* Python's signal handlers */
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
	kept.directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	kept.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	kept.counted = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	kept.tasks = open("/proc/self/task", O_PATH | O_DIRECTORY | O_CLOEXEC);
	kept.threads = count_threads();
	kept.mask = umask(0);
	umask(kept.mask);
	sigprocmask(SIG_SETMASK, NULL, &kept.blocked);
	kept.locale = strdup(setlocale(LC_ALL, NULL));
	kept.environment = environ;
	if (kept.directory != -1 && kept.null != -1 && kept.files[0] != -1 && kept.files[1] != -1 &&
	    kept.files[2] != -1 && kept.locale != NULL)
		return 0;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

/* The timers of alarm(2) and setitimer(2). */
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
	bool good = fchdir(kept.directory) == 0;

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

/* Reaps children that have ended. */
static bool has_children(void)
{
	pid_t child;

	while ((child = waitpid(-1, NULL, WNOHANG)) > 0)
		;
	return child == 0;
}

/*
 * Also threads that a library in C started. The kernel lists a thread for a moment after its end.
 */
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
	struct stat directory;

	return fstat(kept.tasks, &directory) == 0 ? directory.st_nlink : 0;
}

static long count_descriptors(void)
{
	struct stat directory;
	int free_one;

	if (fstat(kept.counted, &directory) == 0 && directory.st_size > 0)
		return (long)directory.st_size;
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
