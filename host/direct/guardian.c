/*
 * A worker that accepts by itself has nobody behind it that could answer its client when it dies in
 * the middle of a request. So each has a guardian: the process that it was forked from, with which
 * it shares not its memory but its table of descriptors (clone(2), CLONE_FILES), and a piece of
 * memory in which stands what it is at. When the worker dies its connections live on here: the
 * guardian answers the request it was at, or cuts the reply that had begun, gives the connections
 * that wait to other workers, and ends. While requests come it looks at the clock too: of a worker
 * that is at one for some time it gives the other connections away, and one that is at it for too
 * long it ends, as the front ends a run. A request costs none of this a system call.
 */
#include "direct/guardian.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "binding.h"
#include "direct/direct_setup.h"
#include "ipc/escalation.h"
#include "ipc/scoreboard.h"
#include "request/access_log.h"
#include "request/error_page.h"
#include "request/outcome.h"
#include "request/request.h"
#include "ipc/process_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 3000000000ULL /* nanoseconds for a client that shall read of the end */
#define LET_GO 5000000000ULL   /* and for an app to end a request that nobody waits for */
#define LOOK_EVERY 20          /* milliseconds, */
#define LOOK_AGAIN 4           /* and while a request lasts */
#define QUIET_LOOKS 50         /* in which nothing has come: then it sleeps */

/* What a guardian knows of its worker. */
struct watch {
	struct direct_setup *setup;
	struct scoreboard_slot *slot;
	struct escalation end;
	uint64_t turn;  /* at the last look */
	unsigned quiet; /* looks in a row */
	bool late;      /* it is being ended, as its request takes too long, */
	bool gone;      /* or as nobody waits for it any more, */
	bool aborted;   /* since the client said so */
	uint64_t leave; /* clock_now() until which it may go on without a client */
};

static void guard(struct binding_run *run, struct direct_setup *setup, pid_t worker)
    __attribute__((noreturn));
static void ask_worker(int number);
static bool wait_for_worker(struct watch *w);
static bool look_at_turn(struct watch *w);
static void look_at_clock(struct watch *w);
static void look_at_client(struct watch *w);
static void look_at_memory(struct watch *w);
static void log_errors(const struct watch *w);
static void answer_for(const struct watch *w, int wait_status);
static void give_idle(struct watch *w, bool ready_only);

/* A signal handler is given no argument. */
static volatile sig_atomic_t asked_for;

/* The pidfd of the worker: binding->fork has no argument either. */
static int worker_handle = -1;

/*
 * fork(2) but for the descriptors. The C library's own fork(2) gives the kernel these arguments
 * too. The pidfd is there before the worker is: opened later, it could look like a descriptor that
 * a request has left open.
 */
static pid_t fork_sharing_files(void)
{
	void *tid = NULL;
	unsigned long flags = CLONE_FILES | CLONE_PIDFD | SIGCHLD;

	/*
	 * Where the C library keeps the number of the thread; without it the parent's stays there.
	 */
	if (prctl(PR_GET_TID_ADDRESS, &tid) == 0 && tid != NULL)
		flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#ifdef __s390x__
	return (pid_t)syscall(SYS_clone, 0, flags, &worker_handle, tid, 0);
#elif defined(__x86_64__)
	return (pid_t)syscall(SYS_clone, flags, 0, &worker_handle, tid, 0);
#else
	return (pid_t)syscall(SYS_clone, flags, 0, &worker_handle, 0, tid);
#endif
}

void guardian_fork(
    const struct binding *binding, struct binding_run *run, struct direct_setup *setup)
{
	pid_t guardian = getpid();
	pid_t worker = binding->fork(fork_sharing_files);

	if (worker < 0) {
		dprintf(STDERR_FILENO, "exthost: fork: %s\n", strerror(errno));
		binding_end(run, EXIT_FAILURE);
	}
	if (worker > 0)
		guard(run, setup, worker);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (getppid() != guardian)
		_exit(0);
	setpgid(0, 0);
	run->channel->owner = getpid();
}

static void guard(struct binding_run *run, struct direct_setup *setup, pid_t worker)
{
	struct process_handle process = {.pid = worker, .handle = worker_handle};
	struct watch w = {.setup = setup, .slot = setup->slot};
	struct rusage usage;
	int wait_status = 0;

	prctl(PR_SET_NAME, "exthost-guard");
	signal(SIGXCPU, SIG_IGN);
	signal(RUN_STACK_SIGNAL, ask_worker);
	escalation_init(&w.end, &process, UINT64_MAX);
	while (wait_for_worker(&w)) {
		if (asked_for)
			kill(worker, RUN_STACK_SIGNAL);
		asked_for = 0;
		look_at_clock(&w);
	}
	wait4(worker, &wait_status, 0, &usage);
	/* It may have begun another request since the last look, and died of that. */
	look_at_turn(&w);
	escalation_sweep(&w.end);
	log_flush(&setup->log);
	/*
	 * A worker that has not loaded passes no connection on: clients may wait for another.
	 */
	if (atomic_load(&setup->slot->serves)) {
		give_idle(&w, false);
		direct_give_waiting(setup);
	}
	log_errors(&w);
	answer_for(&w, wait_status);
	log_flush(&setup->log);
	run_report_end(run->channel->socket, WIFEXITED(wait_status) ? RUN_ENDED : RUN_DIED,
	    WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : wait_status, &usage);
	_exit(0);
}

/*
 * It sleeps until a request comes, and then looks about for as long as more come. false: the worker
 * is dead.
 */
static bool wait_for_worker(struct watch *w)
{
	struct pollfd events[] = {{.fd = w->end.process->handle, .events = POLLIN},
	    {.fd = w->setup->alarm, .events = POLLIN}};
	int most = w->turn % 2 == 1 ? LOOK_AGAIN : LOOK_EVERY;
	eventfd_t ignored;

	if (w->quiet >= QUIET_LOOKS) {
		w->quiet = 0;
		atomic_store(&w->slot->asleep, true);
		most = atomic_load(&w->slot->turn) == w->turn ? -1 : LOOK_EVERY;
	}
	poll(events, 2, most);
	atomic_store(&w->slot->asleep, false);
	if (events[1].revents != 0)
		(void)!eventfd_read(w->setup->alarm, &ignored);
	return events[0].revents == 0;
}

/* Who looks in asks the process that he knows. */
static void ask_worker(int number)
{
	(void)number;
	asked_for = 1;
}

/* true: it is the one of the last look. Of another one's client nothing is known yet. */
static bool look_at_turn(struct watch *w)
{
	uint64_t turn = atomic_load(&w->slot->turn);
	bool same = turn == w->turn;

	w->turn = turn;
	if (!same)
		w->gone = w->aborted = false;
	return same;
}

static void look_at_clock(struct watch *w)
{
	bool same = look_at_turn(w);
	uint64_t turn = w->turn;

	w->quiet = same && turn % 2 == 0 ? w->quiet + 1 : 0;
	/* It has ended after all: then so has the case against it, unless SIGTERM is sent. */
	if (!same && w->end.stage < ESCALATION_TERMED)
		escalation_init(&w->end, w->end.process, UINT64_MAX);
	if (same && turn % 2 == 1) {
		look_at_client(w);
		look_at_memory(w);
	}
	if (w->end.stage == ESCALATION_GOES_ON)
		w->end.due = turn % 2 == 1 ? atomic_load(&w->slot->deadline) : UINT64_MAX;
	if (w->end.stage == ESCALATION_GOES_ON && w->gone && w->leave < w->end.due)
		w->end.due = w->leave;
	escalation_step(&w->end);
	w->late = w->late || w->end.stage >= ESCALATION_TERMED;
	/* Others need not wait for a request that takes its time. */
	if (same && turn % 2 == 1) {
		give_idle(w, true);
		direct_give_waiting(w->setup);
	}
}

/*
 * An app finds out by itself that its client is gone, or has sent ABORT_REQUEST, when it writes; it
 * has some seconds for that. That the client will send no more is no end: it may still read. One
 * that goes with its whole reply has not gone too early, and the app may do what is left to do.
 */
static void look_at_client(struct watch *w)
{
	struct pollfd event = {.fd = atomic_load(&w->slot->fd), .events = POLLIN};
	bool ready = poll(&event, 1, 0) > 0 && atomic_load(&w->slot->sent) == 0;
	bool gone = ready && (event.revents & ~POLLIN) != 0;
	bool aborted = ready && !gone && !w->slot->followed &&
		       request_is_aborted(event.fd, w->slot->request_id);

	/* The descriptor is the request's as long as the turn is. */
	if (atomic_load(&w->slot->turn) != w->turn)
		return;
	w->aborted = w->aborted || aborted;
	if (w->aborted)
		atomic_store(&w->slot->aborted, w->turn);
	if ((gone || w->aborted) && !w->gone)
		w->leave = clock_now() + LET_GO;
	w->gone = gone || w->aborted;
}

static bool is_larger(int file, uint64_t size)
{
	struct stat status;

	return fstat(file, &status) == 0 && (uint64_t)status.st_size > size;
}

/*
 * What a script that is run again writes is held until it ends, in memory that no limit of the
 * process counts. Who writes more than --max-reply gets an error (EPERM), and the reply is refused
 * by its size. The worker may close the descriptor and open another file under its number, so the
 * seal is put on a copy, which stays the same file. The copy is made only when the file is too
 * large: the worker would take one more descriptor for one that a script has left open.
 */
static void look_at_memory(struct watch *w)
{
	uint64_t most = w->setup->config.limits.max_reply;
	int memory = atomic_load(&w->slot->memory);
	int copy = -1;

	if (memory < 0 || !is_larger(memory, most))
		return;
	copy = fd_dup_high(memory);
	if (copy >= 0 && atomic_load(&w->slot->memory) == memory &&
	    atomic_load(&w->slot->turn) == w->turn && is_larger(copy, most))
		fcntl(copy, F_ADD_SEALS, F_SEAL_GROW);
	fd_close(&copy);
}

/*
 * Log what the worker had not logged yet of the standard error that it kept for the error page. The
 * table of descriptors is shared, so that file is this process's standard error, too.
 */
static void log_errors(const struct watch *w)
{
	int log = atomic_load(&w->slot->errors_log);
	char piece[4096];
	off_t at = 0;
	ssize_t n;

	if (atomic_load(&w->slot->turn) % 2 == 0 || log < 0)
		return;
	for (; (n = pread(STDERR_FILENO, piece, sizeof(piece), at)) > 0; at += n)
		fd_write_all(log, piece, (size_t)n);
	dup2(log, STDERR_FILENO);
}

static void answer_for(const struct watch *w, int wait_status)
{
	const struct direct_setup *setup = w->setup;
	const struct scoreboard_slot *slot = setup->slot;
	struct outcome outcome = {0};
	struct request r;

	if (atomic_load_explicit(&slot->turn, memory_order_acquire) % 2 == 0)
		return;
	request_init(&r);
	memcpy(r.id, slot->id, sizeof(r.id));
	r.began = atomic_load(&slot->began);
	r.response.fd = atomic_load(&slot->fd);
	r.response.fastcgi = true;
	r.response.request_id = slot->request_id;
	r.status = atomic_load(&slot->sent);
	if (r.status == 0)
		r.status = w->gone ? 499 : w->late ? 504 : 500;
	r.script = setup->name;
	cgi_variables_set(&r.variables, "REQUEST_METHOD", slot->method);
	cgi_variables_set(&r.variables, "REQUEST_URI", slot->uri);
	if (w->gone)
		snprintf(outcome.reason, sizeof(outcome.reason),
		    w->aborted ? "the client aborted the request" : "the client went away");
	else if (w->late)
		snprintf(outcome.reason, sizeof(outcome.reason), "longer than %llu s",
		    (unsigned long long)setup->config.limits.timeout);
	else
		process_describe_death(outcome.reason, sizeof(outcome.reason), wait_status);
	/* A client that takes nothing keeps the next worker waiting. */
	r.response.deadline = clock_now() + PATIENCE;
	if (atomic_load(&slot->released))
		response_cut_blindly(&r.response);
	else if (w->aborted)
		response_end(&r.response);
	else if (!w->gone)
		error_page_send(&r, r.status, NULL, 0);
	access_log_write(&setup->log, false, &r, &outcome);
	fd_close(&r.response.fd);
	request_release(&r);
}

/* To other workers: all connections that wait for a request, or those to which one has come. */
static void give_idle(struct watch *w, bool ready_only)
{
	for (size_t i = 0; i < SCOREBOARD_CONNECTIONS; i++) {
		int fd = atomic_load(&w->slot->idle[i]);
		struct pollfd event = {.fd = fd, .events = POLLIN};

		if (fd < 0 || (ready_only && poll(&event, 1, 0) <= 0) ||
		    !atomic_compare_exchange_strong(&w->slot->idle[i], &fd, SCOREBOARD_GIVING))
			continue;
		atomic_store(&w->slot->idle[i],
		    direct_give(w->setup, fd, w->slot->listener[i]) ? SCOREBOARD_GIVEN : fd);
	}
}
