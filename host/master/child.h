/*
 * One child process that the master keeps running: the front, a template or a service. A struct
 * child knows whether the process is there, when to start the next one, and by when it must be
 * ready. Its keeper decides what to start and what to tell it.
 */
#ifndef EXTHOST_CHILD_H
#define EXTHOST_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct log;

/* Nanoseconds. */
struct child_rules {
	uint64_t pause; /* before the next start, after a child that had come up */
	uint64_t first; /* before the next start, after the first child that had not come up */
	uint64_t most;  /* limit of the wait, which doubles with each such child in a row */
	uint64_t ready_within; /* time limit for saying "ready"; 0: this child says nothing */
};

/*
 * A child has come up when it has said that it is ready. A child that says nothing has come up when
 * it has lived for a second. All times are of clock_now().
 */
struct child {
	const char *name; /* for log lines: "front", "service mailer"; the keeper owns it */
	const struct log *log;
	struct child_rules rules;
	pid_t pid;         /* 0: there is no process */
	int handle;        /* pidfd of the process; -1: none */
	uint64_t started;  /* start of the process, or of the last one */
	uint64_t deadline; /* for saying "ready"; 0: none */
	uint64_t due;      /* time of the next start; 0: none is planned */
	uint64_t backoff;  /* pause before the next start, if this child does not come up */
	bool came_up;      /* decided at its death, unless it has said that it is ready */
};

/* A child without a process, and no start is planned. `name` and `log` must outlive it. */
void child_init(
    struct child *c, const char *name, const struct log *log, const struct child_rules *rules);

/* Change the rules; the doubling begins again. */
void child_set_rules(struct child *c, const struct child_rules *rules);

/*
 * Plan a start after so many nanoseconds, unless an earlier one is planned. It waits until the
 * present process, if there is one, has died or was moved.
 */
void child_want(struct child *c, uint64_t delay);

/* Whether to call child_fork() now. */
bool child_is_due(const struct child *c);

/*
 * fork(2). In the parent, the process is recorded and its deadline begins; in the child process *c
 * is as it was. -1 with errno, and child_fail() is to follow.
 */
pid_t child_fork(struct child *c);

/*
 * `what` failed with errno before a process was started: log that, and plan the next try after the
 * present backoff. The doubling does not go on, since no child was tried.
 */
void child_fail(struct child *c, const char *what);

/* The child has said that it is ready. */
void child_set_ready(struct child *c);

/* Send SIGKILL if the child has not said within its time limit that it is ready. */
void child_kill_if_late(struct child *c);

/* When child_is_due() or child_kill_if_late() will next have something to do; 0: never. */
uint64_t child_next_event(const struct child *c);

/* The master has reaped this process. true: it was this child, and *c has no process any more. */
bool child_died(struct child *c, pid_t pid);

/* After child_died(): plan the next start, by the rules and by whether the child had come up. */
void child_start_again(struct child *c);

/* Send a signal; without a process nothing happens. 0, or -1 with errno. */
int child_signal(const struct child *c, int number);

/* `to` takes the process over and forgets its own; `from` has none then. */
void child_move(struct child *from, struct child *to);

/* Forget the process, which may live on. Also for a forked child that must not hold the pidfd. */
void child_forget(struct child *c);

/* Kill the process and reap it. */
void child_end(struct child *c);

#endif
