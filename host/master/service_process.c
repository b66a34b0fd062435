/*
 * Its standard output and standard error are one pipe, whose lines go to the log with its name;
 * standard input is empty. No shell is in the way.
 */
#include "master/service_process.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_MOST 2048
#define PIECES_MOST 16 /* at once: what a pipe holds, since some never stop writing */

static void run_program(const struct service_process *p, int output) __attribute__((noreturn));

int service_process_start(
    struct service_process *p, const struct log *log, void (*in_child)(void *), void *argument)
{
	int ends[2] = {-1, -1};
	pid_t pid = -1;

	service_process_log(p, log, true); /* of what is left of the one before */
	if (pipe2(ends, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0) {
		in_child(argument);
		run_program(p, ends[1]);
	}
	fd_close(&ends[1]);
	if (pid < 0) {
		log_message(log, LEVEL_ERROR, "service %s: fork: %s", p->name, strerror(errno));
		fd_close(&ends[0]);
		return -1;
	}
	/* On both sides, so that it is so whoever comes first. */
	setpgid(pid, pid);
	fd_set_nonblocking(ends[0], true);
	p->pid = p->group = pid;
	p->output = ends[0];
	log_message(log, LEVEL_INFO, "service %s: started as process %d", p->name, (int)pid);
	return 0;
}

/* Signals as a program expects them, and the environment that the host was started with. */
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
	/* Those from 32 to SIGRTMIN are the C library's own. */
	for (int number = 1; number < NSIG; number++)
		if (number < 32 || number >= SIGRTMIN)
			signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
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

		if (newline == NULL && !all && size <= LINE_MOST)
			return;
		if (size > LINE_MOST) {
			size = LINE_MOST;
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

	for (int i = 0; i < PIECES_MOST && p->output >= 0 && n > 0; i++) {
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
	p->group = 0; /* the number may become another's */
	return true;
}

void service_process_release(struct service_process *p)
{
	fd_close(&p->output);
	buffer_release(&p->line);
}
