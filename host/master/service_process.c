/*
 * Standard output and standard error of a service are one pipe, whose lines go to the log with the
 * name of the service; its standard input is empty. No shell is in between.
 */
#include "master/service_process.h"

#include "base/fd.h"
#include "base/log.h"
#include "master/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define PIECES_MAX 16 /* read at once: the size of a pipe, as some services never stop writing */

static void run_program(const struct service_process *p, int output) __attribute__((noreturn));

int service_process_start(
    struct service_process *p, struct child *child, void (*in_child)(void *), void *argument)
{
	int ends[2];
	pid_t pid;

	service_process_log(p, child->log, true); /* the rest of the process before */
	if (pipe2(ends, O_CLOEXEC) < 0) {
		child_fail(child, "start");
		return -1;
	}
	pid = child_fork(child);
	if (pid == 0) {
		in_child(argument);
		run_program(p, ends[1]);
	}
	if (pid < 0)
		child_fail(child, "start");
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -1;
	}
	/* Parent and child both do this, so that it is done whichever of them runs first. */
	setpgid(pid, pid);
	fd_set_nonblocking(ends[0], true);
	p->group = pid;
	p->output = ends[0];
	log_message(child->log, LEVEL_INFO, "%s: started as process %d", child->name, (int)pid);
	return 0;
}

/* Signals are as a program expects them; the environment is the host's, with variables added. */
static void run_program(const struct service_process *p, int output)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	fd_close_from(STDERR_FILENO + 1, -1);
	/* The signals from 32 to SIGRTMIN are the C library's own. */
	for (int number = 1; number < NSIG; number++)
		if (number < 32 || number >= SIGRTMIN)
			signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < p->environment.count; i++)
		putenv(p->environment.items[i]);
	execv(p->program, p->argv);
	dprintf(STDERR_FILENO, "%s: %s\n", p->argv[0], strerror(errno));
	_exit(127);
}

static void log_lines(struct service_process *p, const struct log *log, bool all)
{
	struct buffer *line = &p->line;

	while (line->size > 0) {
		const char *newline = memchr(line->data, '\n', line->size);
		size_t size = newline != NULL ? (size_t)(newline - line->data) : line->size;
		struct log_line entry;

		if (newline == NULL && !all && size <= LINE_MAX_BYTES)
			return;
		if (size > LINE_MAX_BYTES) {
			size = LINE_MAX_BYTES;
			newline = NULL;
		}
		log_begin(&entry, log, LEVEL_INFO, NULL, line->data, size);
		log_string(&entry, "service", p->name);
		log_end(&entry);
		buffer_consume(line, newline != NULL ? size + 1 : size);
	}
}

void service_process_log(struct service_process *p, const struct log *log, bool all)
{
	char piece[4096];
	ssize_t n = 1;

	for (int i = 0; i < PIECES_MAX && p->output >= 0 && n > 0; i++) {
		n = read(p->output, piece, sizeof(piece));
		if (n > 0)
			buffer_append(&p->line, piece, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			fd_close(&p->output);
		log_lines(p, log, false);
	}
	if (!all)
		return;
	log_lines(p, log, true);
	fd_close(&p->output);
}

bool service_process_is_gone(struct service_process *p)
{
	if (p->group == 0)
		return true;
	while (waitpid(-p->group, NULL, WNOHANG) > 0)
		;
	if (kill(-p->group, 0) == 0 || errno != ESRCH)
		return false;
	p->group = 0; /* the kernel may give the number to another process */
	return true;
}

void service_process_release(struct service_process *p)
{
	fd_close(&p->output);
	buffer_release(&p->line);
	config_list_release(&p->environment);
}
