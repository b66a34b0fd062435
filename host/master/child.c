/*
 * The backoff of every process that the master starts. A child that had come up is replaced after
 * its pause (at once, but for services). After a child that had not come up the wait is longer each
 * time, so that a program that cannot start does not keep a processor busy.
 *
 * Signals go through the pidfd, so that they never reach another process that has got the number.
 */
#include "master/child.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAME_UP_NS CLOCK_SECOND /* a child that says nothing has come up after this time */

void child_init(
    struct child *c, const char *name, const struct log *log, const struct child_rules *rules)
{
	*c = (struct child){.name = name, .log = log, .handle = -1};
	child_set_rules(c, rules);
}

void child_set_rules(struct child *c, const struct child_rules *rules)
{
	c->rules = *rules;
	c->backoff = rules->first;
}

void child_want(struct child *c, uint64_t delay)
{
	uint64_t at = clock_now() + delay;

	if (c->due == 0 || at < c->due)
		c->due = at;
}

bool child_is_due(const struct child *c)
{
	return c->pid == 0 && c->due != 0 && clock_now() >= c->due;
}

/* A process without a pidfd could not be ended safely later: it is ended now. */
static int open_handle(pid_t pid)
{
	int handle = (int)syscall(SYS_pidfd_open, pid, 0);
	int saved = errno;

	if (handle < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		errno = saved;
	}
	return handle;
}

pid_t child_fork(struct child *c)
{
	pid_t pid = fork();
	int handle;

	if (pid == 0)
		return 0;
	handle = pid > 0 ? open_handle(pid) : -1;
	if (handle < 0)
		return -1; /* a pid of -1 must not be kept: to kill(2) it is every process */
	c->pid = pid;
	c->handle = handle;
	c->started = clock_now();
	c->deadline = c->rules.ready_within > 0 ? c->started + c->rules.ready_within : 0;
	c->due = 0;
	c->came_up = false;
	return pid;
}

void child_fail(struct child *c, const char *what)
{
	log_message(c->log, LEVEL_ERROR, "%s: %s: %s", c->name, what, strerror(errno));
	c->due = clock_now() + c->backoff;
}

void child_set_ready(struct child *c)
{
	c->came_up = true;
	c->deadline = 0;
	c->backoff = c->rules.first;
}

void child_kill_if_late(struct child *c)
{
	uint64_t now = clock_now();

	if (c->pid == 0 || c->deadline == 0 || now < c->deadline)
		return;
	child_signal(c, SIGKILL);
	c->deadline = now + c->rules.ready_within;
}

uint64_t child_next_event(const struct child *c)
{
	return c->pid == 0 ? c->due : c->deadline;
}

bool child_died(struct child *c, pid_t pid)
{
	if (c->pid == 0 || pid != c->pid)
		return false;
	if (c->rules.ready_within == 0)
		c->came_up = clock_now() - c->started >= CAME_UP_NS;
	child_forget(c);
	return true;
}

void child_start_again(struct child *c)
{
	if (c->came_up) {
		c->backoff = c->rules.first;
		child_want(c, c->rules.pause);
		return;
	}
	child_want(c, c->backoff);
	c->backoff = c->backoff * 2 < c->rules.most ? c->backoff * 2 : c->rules.most;
}

int child_signal(const struct child *c, int number)
{
	if (c->pid == 0)
		return 0;
	return (int)syscall(SYS_pidfd_send_signal, c->handle, number, NULL, 0);
}

void child_move(struct child *from, struct child *to)
{
	child_forget(to);
	to->pid = from->pid;
	to->handle = from->handle;
	to->started = from->started;
	from->handle = -1;
	child_forget(from);
}

void child_forget(struct child *c)
{
	c->pid = 0;
	c->deadline = 0;
	fd_close(&c->handle);
}

void child_end(struct child *c)
{
	if (c->pid > 0 && child_signal(c, SIGKILL) == 0)
		waitpid(c->pid, NULL, 0);
	child_forget(c);
}
