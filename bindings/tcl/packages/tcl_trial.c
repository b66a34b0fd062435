/*
 * A package on trial.
 *
 * What a package does while it loads cannot be undone. It may fail half way, hang, end the process,
 * start a thread (then the template could not fork any more) or keep a file open (then all request
 * processes would share its offset). So it is loaded in a child process first, and in the template
 * only if the child has found it harmless.
 */
#include "packages/tcl_trial.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/base/error.h"
#include "interpreter/tcl_words.h"

enum { TRIAL_SECONDS = 10 };

static const char harmless[] = "harmless";

static void judge(Tcl_Interp *interp, const char *name, int output) __attribute__((noreturn));
static void end_trial(void *status) __attribute__((noreturn));
static void silence(void);
static ssize_t read_verdict(int input, char *verdict, size_t size);

int tcl_trial_package(Tcl_Interp *interp, const char *name, struct error *e)
{
	struct error verdict;
	ssize_t length;
	int ends[2];
	int status;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return error_errno(e, "try package %s: pipe", name);
	child = fork();
	if (child == 0)
		judge(interp, name, ends[1]);
	close(ends[1]);
	length = child == -1 ? 0 : read_verdict(ends[0], verdict.message, sizeof(verdict.message));
	close(ends[0]);
	if (child == -1)
		return error_errno(e, "try package %s: fork", name);
	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR)
			return error_errno(e, "try package %s: wait", name);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return error_set(
		    e, "try package %s: it takes more than %d seconds", name, TRIAL_SECONDS);
	if (WIFSIGNALED(status))
		return error_set(e, "try package %s: signal %d", name, WTERMSIG(status));
	if (length == 0)
		return error_set(e, "try package %s: it ends the process", name);
	if (strcmp(verdict.message, harmless) != 0)
		return error_set(e, "try package %s: %s", name, verdict.message);
	return 0;
}

/*
 * In the child: write the verdict to output. If nothing is written, the package has ended the
 * process.
 */
static void judge(Tcl_Interp *interp, const char *name, int output)
{
	int descriptors = tcl_trial_count("/proc/self/fd");
	const char *verdict = harmless;

	sigset_t none;

	sigemptyset(&none);
	signal(SIGALRM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	alarm(TRIAL_SECONDS);
	Tcl_SetExitProc(end_trial);
	silence();
	if (tcl_words(interp, "package", "require", name, NULL) != TCL_OK)
		verdict = Tcl_GetStringResult(interp);
	else if (tcl_trial_count("/proc/self/task") != 1)
		verdict = "it starts a thread";
	else if (tcl_trial_count("/proc/self/fd") != descriptors)
		verdict = "it keeps a file open";
	if (write(output, verdict, strlen(verdict)) == -1)
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

/* The package has called `exit`: nothing of the template's may be flushed or finalized. */
static void end_trial(void *status)
{
	(void)status;
	_exit(EXIT_FAILURE);
}

static void silence(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null == -1)
		return;
	for (int number = 0; number <= 2; number++)
		dup2(null, number);
	if (null > 2)
		close(null);
}

/* Does not count "." and "..", nor, in /proc/self/fd, the directory itself. */
int tcl_trial_count(const char *directory)
{
	DIR *stream = opendir(directory);
	const struct dirent *entry;
	int count = 0;

	if (stream == NULL)
		return -1;
	while ((entry = readdir(stream)) != NULL)
		count += entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(stream);
	closedir(stream);
	return count;
}

/* Returns the length of the verdict, which is terminated. */
static ssize_t read_verdict(int input, char *verdict, size_t size)
{
	size_t length = 0;
	ssize_t got;

	while (length < size - 1) {
		got = read(input, verdict + length, size - 1 - length);
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	verdict[length] = '\0';
	return (ssize_t)length;
}
