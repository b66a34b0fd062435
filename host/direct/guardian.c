/*
 * The front does not see the requests of a direct worker, so it cannot answer for a worker that
 * dies in the middle of one. The guardian can. It is the process that the worker was forked from,
 * and shares with it the table of file descriptors (clone(2), CLONE_FILES) and the slot of the
 * scoreboard, in which the worker shows its present request.
 *
 * When the worker dies, its connections stay open in the guardian. The guardian answers the present
 * request, or cuts the reply if that has begun, and the requests that have not come whole. It gives
 * the idle connections to other workers, and ends. While a request lasts, the guardian also gives
 * the worker's other connections away, and at the deadline it ends the worker as the front ends a
 * run. None of this costs a request a system call.
 *
 * A worker that is idle gets a ping each second. If it does not answer for as long as a request may
 * take, it is ended too; its clients need not wait for that.
 *
 * When the guardian dies, its worker gets a signal, answers the request itself in the handler, and
 * ends: alone it could hang for ever. A handler may not allocate, so the struct request that the
 * answer needs is made beforehand.
 */
#include "direct/guardian.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "binding.h"
#include "direct/direct_setup.h"
#include "direct/orphan_grace.h"
#include "ipc/escalation.h"
#include "ipc/scoreboard.h"
#include "request/access_log.h"
#include "request/error_page.h"
#include "request/outcome.h"
#include "request/request.h"
#include "ipc/process_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

#define ANSWER_TIMEOUT_NS (3 * CLOCK_SECOND)  /* for a client to take the answer to a dead worker */
#define ABANDONED_GRACE_NS (5 * CLOCK_SECOND) /* for an app to end a request without a client */
#define LOOK_IDLE_MS 20                       /* between two looks at the slot */
#define LOOK_BUSY_MS 4                        /* the same while a request is being answered */
#define QUIET_LOOKS 50 /* without a new request, before the guardian sleeps */
#define PING_EVERY_MS 1000
#define PING_LATE_NS (CLOCK_SECOND / 2) /* then other workers get the clients of an idle worker */

/* What a guardian knows of its worker. */
struct watch {
	struct direct_setup *setup;
	struct scoreboard_slot *slot;
	struct escalation end;
	uint64_t turn;   /* of the slot, at the last look */
	unsigned quiet;  /* looks in a row that have found no request */
	bool late;       /* the worker is being ended: its request takes too long */
	bool gone;       /* the client of the request has left, or has aborted it */
	bool aborted;    /* the client has sent ABORT_REQUEST */
	uint64_t leave;  /* clock_now() at which the worker is ended if its client is gone */
	uint64_t pinged; /* clock_now() of the ping that is not answered yet; 0: there is none */
	uint64_t due;    /* clock_now() of the next ping */
	uint64_t pongs;  /* of the slot, at the last ping */
};

static void guard(struct binding_run *run, struct direct_setup *setup, pid_t worker)
    __attribute__((noreturn));
static void ask_worker(int number);
static bool wait_for_worker(struct watch *w);
static bool look_at_turn(struct watch *w);
static void look_at_clock(struct watch *w);
static void look_at_pulse(struct watch *w);
static void look_at_client(struct watch *w);
static void look_at_memory(struct watch *w);
static void log_errors(const struct scoreboard_slot *slot);
static void judge(const struct watch *w, int wait_status, struct outcome *o);
static int prepare_answer(void);
static void answer_all(const struct direct_setup *setup, const struct outcome *o);
static void answer_turn(const struct direct_setup *setup, const struct outcome *o);
static void answer_begun(const struct direct_setup *setup, const struct outcome *o);
static void give_all(const struct direct_setup *setup);
static void give_idle(const struct direct_setup *setup, bool ready);
static void take_orphaned(int number);

/* RUN_STACK_SIGNAL has come. Static, because a signal handler gets no argument. */
static volatile sig_atomic_t asked_for;

/* For the answer of a process that may not allocate; and in the worker, for its signal handler. */
static struct request answer;
static const struct direct_setup *orphan_setup;
static pid_t orphan;

/* The pidfd of the worker. Static, because the callback of binding->fork gets no argument. */
static int worker_handle = -1;

/*
 * fork(2) with a shared table of file descriptors. The other arguments are those that the C
 * library's fork(2) gives the kernel. The kernel makes the pidfd before the worker runs: opened
 * later, the pidfd could look like a descriptor that a request has left open.
 */
static pid_t fork_sharing_files(void)
{
	void *tid = NULL;
	unsigned long flags = CLONE_FILES | CLONE_PIDFD | SIGCHLD;

	/* The address of the C library's copy of the thread id, which the kernel sets again. */
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
	pid_t worker = prepare_answer() == 0 ? binding->fork(fork_sharing_files) : -1;

	if (worker < 0) {
		dprintf(STDERR_FILENO, "exthost: fork: %s\n", strerror(errno));
		binding_end(run, EXIT_FAILURE);
	}
	if (worker > 0)
		guard(run, setup, worker);
	orphan_setup = setup;
	orphan = getpid();
	sigaction(ORPHAN_SIGNAL, &(struct sigaction){.sa_handler = take_orphaned}, NULL);
	prctl(PR_SET_PDEATHSIG, ORPHAN_SIGNAL);
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
	struct outcome outcome = {.whole = true, .pid = worker};
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
	/* The worker may have begun another request since the last look, and died of that. */
	look_at_turn(&w);
	escalation_sweep(&w.end);
	log_flush(&setup->log);
	/* A worker that has not loaded has accepted nothing. */
	if (atomic_load(&setup->slot->serves))
		give_all(setup);
	if (w.late && w.pinged != 0)
		log_message(&setup->log, LEVEL_ERROR,
		    "%s: the worker %d was idle and hung for longer than %" PRIu64 " s",
		    setup->name, (int)worker, setup->config.limits.timeout);
	log_errors(setup->slot);
	judge(&w, wait_status, &outcome);
	answer_all(setup, &outcome);
	log_flush(&setup->log);
	run_report_end(run->channel->socket, WIFEXITED(wait_status) ? RUN_ENDED : RUN_DIED,
	    WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : wait_status, &usage);
	_exit(0);
}

/*
 * Wait for the time of the next look: a few milliseconds while requests come, and until the next
 * ping after QUIET_LOOKS. false: the worker is dead.
 */
static bool wait_for_worker(struct watch *w)
{
	struct pollfd events[] = {{.fd = w->end.process->handle, .events = POLLIN},
	    {.fd = w->setup->alarm, .events = POLLIN}};
	int most = w->turn % 2 == 1 ? LOOK_BUSY_MS : LOOK_IDLE_MS;
	eventfd_t ignored;

	if (w->quiet >= QUIET_LOOKS && w->pinged == 0) {
		atomic_store(&w->slot->asleep, true);
		most = atomic_load(&w->slot->turn) == w->turn ? PING_EVERY_MS : LOOK_IDLE_MS;
	}
	poll(events, 2, most);
	atomic_store(&w->slot->asleep, false);
	if (events[1].revents != 0)
		(void)!eventfd_read(w->setup->alarm, &ignored);
	return events[0].revents == 0;
}

/* The front knows the guardian's process id alone, and sends it the signal meant for the worker. */
static void ask_worker(int number)
{
	(void)number;
	asked_for = 1;
}

/* true: the turn is that of the last look. Else nothing is known of the new request's client. */
static bool look_at_turn(struct watch *w)
{
	uint64_t turn = atomic_load(&w->slot->turn);
	bool same = turn == w->turn;

	w->turn = turn;
	if (!same)
		w->gone = w->aborted = false;
	return same;
}

/* Nanoseconds that a request may take, and an idle worker for the answer to a ping. */
static uint64_t limit_of(const struct watch *w)
{
	return w->setup->config.limits.timeout * CLOCK_SECOND;
}

static void look_at_clock(struct watch *w)
{
	bool same = look_at_turn(w), hangs;
	uint64_t turn = w->turn;

	look_at_pulse(w);
	hangs = w->pinged != 0 && clock_now() > w->pinged + PING_LATE_NS;
	w->quiet = same && turn % 2 == 0 ? w->quiet + 1 : 0;
	/* The late request has ended, or the ping is answered: without a SIGTERM, it goes on. */
	if ((!same || (turn % 2 == 0 && w->pinged == 0)) && w->end.stage < ESCALATION_TERMED)
		escalation_init(&w->end, w->end.process, UINT64_MAX);
	if (same && turn % 2 == 1) {
		look_at_client(w);
		look_at_memory(w);
	}
	if (w->end.stage == ESCALATION_GOES_ON)
		w->end.due = turn % 2 == 1    ? atomic_load(&w->slot->deadline)
			     : w->pinged != 0 ? w->pinged + limit_of(w)
					      : UINT64_MAX;
	if (w->end.stage == ESCALATION_GOES_ON && w->gone && w->leave < w->end.due)
		w->end.due = w->leave;
	escalation_step(&w->end);
	w->late = w->late || w->end.stage >= ESCALATION_TERMED;
	/* Other clients of this worker need not wait for a slow request, nor for a hang. */
	if (same && (turn % 2 == 1 || hangs)) {
		give_idle(w->setup, true);
		direct_pass_on(w->setup);
	}
}

/* While the worker loads or answers, its other deadlines hold. */
static void look_at_pulse(struct watch *w)
{
	uint64_t now = clock_now(), pongs = atomic_load(&w->slot->pongs);

	if (w->turn % 2 == 1 || !atomic_load(&w->slot->serves)) {
		w->pinged = 0;
		w->due = now + PING_EVERY_MS * CLOCK_MILLISECOND;
		return;
	}
	if (pongs != w->pongs)
		w->pinged = 0;
	if (w->pinged != 0 || now < w->due)
		return;
	w->pongs = pongs;
	w->pinged = now;
	w->due = now + PING_EVERY_MS * CLOCK_MILLISECOND;
	eventfd_write(w->setup->ping, 1);
}

/*
 * An app that writes notices by itself that its client is gone or has sent ABORT_REQUEST, and has
 * ABANDONED_GRACE_NS for that. A client that has shut down its sending side is not gone: it may
 * still read. If a client leaves with its whole reply, the app may finish its work.
 */
static void look_at_client(struct watch *w)
{
	struct pollfd event = {.fd = atomic_load(&w->slot->fd), .events = POLLIN};
	bool ready = poll(&event, 1, 0) > 0 && atomic_load(&w->slot->sent) == 0;
	bool gone = ready && (event.revents & ~POLLIN) != 0;
	bool aborted =
	    ready && !gone &&
	    request_is_aborted(event.fd, w->slot->shown[atomic_load(&w->slot->place)].request_id,
		w->slot->behind, w->slot->behind_size);

	/* The descriptor belongs to the request only while the turn lasts. */
	if (atomic_load(&w->slot->turn) != w->turn)
		return;
	w->aborted = w->aborted || aborted;
	if (w->aborted)
		atomic_store(&w->slot->aborted, w->turn);
	if ((gone || w->aborted) && !w->gone)
		w->leave = clock_now() + ABANDONED_GRACE_NS;
	w->gone = gone || w->aborted;
}

static bool is_larger(int file, uint64_t size)
{
	struct stat status;

	return fstat(file, &status) == 0 && (uint64_t)status.st_size > size;
}

/*
 * The output of a rerun is held in a memory file, which no limit of the process counts. Once the
 * file is larger than --max-reply it is sealed: further writes fail with EPERM, and the reply is
 * refused by its size. The worker may close the descriptor and open another file under its number,
 * so the seal is put on a duplicate, which stays the same file. It is made only for a file that is
 * too large: to the worker it looks like a descriptor that a script has left open.
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
 * Log the standard error that the dead worker kept for the error page and had not logged yet. As
 * the table of file descriptors is shared, that file is this process's standard error, too.
 */
static void log_errors(const struct scoreboard_slot *slot)
{
	int log = atomic_load(&slot->errors_log);
	char piece[4096];
	off_t at = 0;
	ssize_t n;

	if (atomic_load(&slot->turn) % 2 == 0 || log < 0)
		return;
	for (; (n = pread(STDERR_FILENO, piece, sizeof(piece), at)) > 0; at += n)
		fd_write_all(log, piece, (size_t)n);
	dup2(log, STDERR_FILENO);
}

/* What the worker's death means for its request. */
static void judge(const struct watch *w, int wait_status, struct outcome *o)
{
	char how[PROCESS_END_SIZE];

	process_describe_death(how, sizeof(how), wait_status);
	if (w->gone)
		outcome_fail_client(o, w->aborted);
	else if (w->late)
		outcome_fail_late(o, w->setup->config.limits.timeout);
	else
		outcome_fail(o, OUTCOME_SIGNALLED, 500, "%s", how);
}

/* 0, or -1 with errno: no memory. */
static int prepare_answer(void)
{
	char room[SCOREBOARD_LINE];

	memset(room, ' ', sizeof(room));
	room[sizeof(room) - 1] = '\0';
	request_init_numbered(&answer, 0);
	if (cgi_variables_set(&answer.variables, "REQUEST_URI", room) < 0)
		return -1;
	room[SCOREBOARD_METHOD - 1] = '\0';
	if (cgi_variables_set(&answer.variables, "REQUEST_METHOD", room) < 0)
		return -1;
	return buffer_reserve(&answer.response.waiting, RESPONSE_CUT_MAX);
}

/* The value is as long as prepare_answer has made it, or shorter. */
static void set_variable(const char *name, const char *value)
{
	strcpy((char *)cgi_variables_text(&answer.variables, name), value);
}

/* Allocates nothing, as all that it calls. */
static void answer_all(const struct direct_setup *setup, const struct outcome *o)
{
	/* While the clients take nothing, no other worker is started. */
	answer.response.deadline = clock_now() + ANSWER_TIMEOUT_NS;
	if (atomic_load_explicit(&setup->slot->turn, memory_order_acquire) % 2 == 1)
		answer_turn(setup, o);
	answer_begun(setup, o);
}

/* The struct request for the answer to this request. */
static struct request *recall(
    const struct direct_setup *setup, const struct scoreboard_request *shown, int fd)
{
	struct request *r = &answer;

	memcpy(r->id, shown->id, sizeof(r->id));
	r->began = atomic_load(&shown->began);
	r->response.fd = fd;
	r->response.fastcgi = true;
	r->response.failed = false;
	r->response.sent = 0;
	r->response.request_id = shown->request_id;
	r->script = setup->name;
	set_variable("REQUEST_METHOD", shown->method);
	set_variable("REQUEST_URI", shown->path);
	return r;
}

/* The request that the worker was at: answer it, or cut its reply, and log it. */
static void answer_turn(const struct direct_setup *setup, const struct outcome *o)
{
	struct scoreboard_slot *slot = setup->slot;
	unsigned place = atomic_load(&slot->place);
	const struct scoreboard_request *shown = &slot->shown[place];
	struct request *r = recall(setup, shown, atomic_load(&slot->fd));
	bool whole = !atomic_load(&slot->released) && o->why != OUTCOME_CLIENT;

	atomic_store(&slot->begun[place], SCOREBOARD_NONE);
	r->status = atomic_load(&slot->sent);
	if (r->status == 0)
		r->status = o->status;
	if (atomic_load(&slot->released))
		response_cut_blindly(&r->response);
	else if (o->why == OUTCOME_ABORTED)
		response_end(&r->response);
	else if (whole)
		error_page_send(r, r->status, NULL, 0);
	access_log_write(&setup->log, false, r, o);
	if (whole && shown->keeps && !r->response.failed)
		direct_give(setup, r->response.fd, slot->listener[place]);
	fd_close(&r->response.fd);
}

/* Requests that have not come whole. Nothing can be answered before the head is. */
static void answer_begun(const struct direct_setup *setup, const struct outcome *o)
{
	struct scoreboard_slot *slot = setup->slot;
	struct outcome own = {.whole = true, .pid = o->pid};
	size_t heads = 0;

	outcome_fail(&own, OUTCOME_HOST, 500, "the worker has ended: %.400s", o->reason);
	for (size_t i = 0; i < SCOREBOARD_CONNECTIONS; i++) {
		int fd = atomic_load(&slot->begun[i]);

		/* Its worker has died while it took an idle connection, or showed it as idle. */
		if (fd < 0 || atomic_load(&slot->idle[i]) != SCOREBOARD_NONE)
			continue;
		if (slot->shown[i].request_id == 0) {
			heads++;
			continue;
		}
		recall(setup, &slot->shown[i], fd)->status = own.status;
		error_page_send(&answer, own.status, NULL, 0);
		access_log_write(&setup->log, false, &answer, &own);
		fd_close(&fd);
	}
	if (heads > 0)
		log_message(&setup->log, LEVEL_ERROR,
		    "%s: %zu connections were closed in the middle of a request's head: %s",
		    setup->name, heads, o->reason);
}

/* In the worker: its guardian has died. */
static void take_orphaned(int number)
{
	struct outcome outcome = {.whole = true, .pid = orphan};

	(void)number;
	if (getpid() != orphan)
		return;
	/* The worker must end, even if the client, or a lock of the C library's, holds it up. */
	signal(SIGALRM, SIG_DFL);
	alarm(2 * ANSWER_TIMEOUT_NS / CLOCK_SECOND);
	outcome_fail(&outcome, OUTCOME_HOST, 500, "the guardian of the worker died");
	give_all(orphan_setup);
	log_errors(orphan_setup->slot);
	answer_all(orphan_setup, &outcome);
	log_flush(&orphan_setup->log);
	kill(0, SIGKILL);
}

/* Give idle connections to other workers: all, or those on which a request has come (`ready`). */
static void give_idle(const struct direct_setup *setup, bool ready)
{
	struct scoreboard_slot *slot = setup->slot;

	for (size_t i = 0; i < SCOREBOARD_CONNECTIONS; i++) {
		int fd = atomic_load(&slot->idle[i]);
		struct pollfd event = {.fd = fd, .events = POLLIN};

		if (fd < 0 || (ready && poll(&event, 1, 0) <= 0) ||
		    !atomic_compare_exchange_strong(&slot->idle[i], &fd, SCOREBOARD_GIVING))
			continue;
		atomic_store(&slot->idle[i],
		    direct_give(setup, fd, slot->listener[i]) ? SCOREBOARD_GIVEN : fd);
	}
}

/* The worker ends: its idle connections and waiting clients are for other workers. */
static void give_all(const struct direct_setup *setup)
{
	size_t lost = 0;

	give_idle(setup, false);
	direct_pass_on(setup);
	for (size_t i = 0; i < SCOREBOARD_CONNECTIONS; i++)
		lost += atomic_load(&setup->slot->idle[i]) >= 0;
	direct_count_lost(setup, lost);
}
