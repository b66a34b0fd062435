/*
 * One thread and one loop wait for three things: orders from the front, pings of the master, and
 * deaths of children. The template keeps the lower end of each child's channel, and reports the
 * child's death there.
 *
 * No part of an extension ever gets in here: only request processes see scripts, compiled code and
 * modules of the extension root. The template loads installed modules. A module that starts a
 * thread would make it useless (a forked process has one thread), so the template then reports that
 * module and exits.
 */
#include "template/template.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/tuning.h"
#include "binding.h"
#include "direct/orphan_grace.h"
#include "ipc/run_channel.h"
#include "template/app_worker.h"
#include "template/heap_fill.h"
#include "template/huge_pages.h"
#include "template/preload.h"
#include "ipc/template_channel.h"
#include "template/request_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUARDS_LOOKED_AT 64 /* children polled at a time while draining */
#define CHILDREN_FIRST 512  /* room in the first table of children: a page */
/* The lowest number for the log's descriptor: languages get the lower ones. */
#define LOG_LEAST 10

struct child {
	pid_t pid;
	int channel;
};

struct template
{
	const struct template_setup *setup;
	struct child *children;
	size_t count, capacity;
	int pings;   /* the setup's `status`; -1: the master has closed it */
	int signals; /* signalfd for SIGCHLD */
	struct orphan_grace grace;
	int kin;       /* /proc/thread-self/children; -1: the kernel does not have it */
	bool draining; /* the front has closed the channel: only wait for the children */
};

static int open_channels(int channel[2], int status[2]);
static void prepare_process(struct template *t);
static int thread_count(void);
static void start_language(const struct template_setup *setup, int threads);
static void wait_for_orders(struct template *t);
static void answer_ping(struct template *t);
static void take_orders(struct template *t);
static void fork_one(struct template *t, bool warm, struct process_ends *ends);
static void drain(struct template *t);
static void reap_children(struct template *t);
static void kill_orphans(struct template *t);
static void tell(const struct template_setup *setup, enum template_event event, const char *text);

int template_start(const struct template_setup *setup, pid_t (*fork_child)(void *context),
    void *context, struct template_handle *t)
{
	int channel[2], status[2];
	pid_t pid;

	if (open_channels(channel, status) < 0)
		return -1;
	pid = fork_child(context);
	if (pid == 0) {
		struct template_setup own = *setup;

		close(channel[0]);
		close(status[0]);
		own.channel = channel[1];
		own.status = status[1];
		template_main(&own);
	}
	fd_close(&channel[1]);
	fd_close(&status[1]);
	if (pid < 0) {
		fd_close(&channel[0]);
		fd_close(&status[0]);
		return -1;
	}
	*t = (struct template_handle){.pid = pid, .channel = channel[0], .status = status[0]};
	return 0;
}

static int open_channels(int channel[2], int status[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status) == 0)
		return 0;
	fd_close(&channel[0]);
	fd_close(&channel[1]);
	return -1;
}

void template_main(const struct template_setup *setup)
{
	struct template t = {.setup = setup, .pings = setup->status};

	prepare_process(&t);
	if (tuning_has(TUNING_HUGE_HEAP))
		huge_pages_align_heap();
	start_language(setup, thread_count());
	if (tuning_has(TUNING_HEAP_FILL))
		heap_fill_holes();
	if (tuning_has(TUNING_HUGE_HEAP))
		huge_pages_gather();
	tell(setup, TEMPLATE_READY, "");
	while (!t.draining)
		wait_for_orders(&t);
	drain(&t);
	_exit(0);
}

static void wait_for_orders(struct template *t)
{
	struct pollfd events[3] = {{.fd = t->setup->channel, .events = POLLIN},
	    {.fd = t->pings, .events = POLLIN}, {.fd = t->signals, .events = POLLIN}};

	if (poll(events, 3, orphan_grace_left(&t->grace)) < 0)
		return;
	if (events[1].revents != 0)
		answer_ping(t);
	if (events[0].revents != 0)
		take_orders(t);
	if (events[2].revents != 0)
		reap_children(t);
	if (orphan_grace_left(&t->grace) == 0)
		kill_orphans(t);
}

/* `exthost request` has no master: it closes the socket once the template is ready. */
static void answer_ping(struct template *t)
{
	switch (template_ping_receive(t->pings)) {
	case 1: tell(t->setup, TEMPLATE_ANSWERS, ""); break;
	case 0: t->pings = -1; break;
	default: break;
	}
}

/* Descriptors 0, 1 and 2 become /dev/null: what a module prints at import is dropped. */
static void prepare_process(struct template *t)
{
	static const int blocked[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1};
	sigset_t children, all;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_NAME, "exthost-templ");
	/*
	 * A template ends when its channel is closed, and by no signal. Signals are blocked and not
	 * ignored, so that the languages find them, and leave them to scripts, as under CGI.
	 */
	for (int number = 1; number < NSIG; number++)
		signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
	sigemptyset(&all);
	for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++)
		sigaddset(&all, blocked[i]);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (t->setup->log->fd == STDERR_FILENO)
		t->setup->log->fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, LOG_LEAST);
	for (int i = 0; null >= 0 && i <= STDERR_FILENO; i++)
		dup2(null, i);
	fd_close(&null);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	t->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	t->kin = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	/* Extensions see the request's environment, never the host's own. */
	clearenv();
	setenv("PATH", "/usr/bin:/bin", 1);
	setenv("LANG", "C.UTF-8", 1);
}

static int thread_count(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	if (tasks == NULL)
		return 1;
	for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks))
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count;
}

static void fail(const struct template_setup *setup, const char *text)
{
	tell(setup, TEMPLATE_FAILED, text);
	_exit(1);
}

static void preload_one(const struct template_setup *setup, const char *item, int threads)
{
	struct error e;

	if (!preload_is_of(item, setup->binding->name))
		return;
	if (setup->binding->preload(strchr(item, ':') + 1, &e) < 0)
		log_message(setup->log, LEVEL_WARNING, "%s is not preloaded: %s", item, e.message);
	if (thread_count() > threads) {
		tell(setup, TEMPLATE_REFUSED, item);
		_exit(1);
	}
}

/* `threads`: how many there were before the start, since a sanitizer has one of its own. */
static void start_language(const struct template_setup *setup, int threads)
{
	struct error e;

	if (setup->binding->start(&e) < 0) {
		error_prefix(&e, "start %s", setup->binding->name);
		fail(setup, e.message);
	}
	if (thread_count() > threads)
		fail(setup, "the language started a thread");
	for (size_t i = 0; i < setup->preload_count; i++)
		preload_one(setup, setup->preload[i], threads);
	if (setup->binding->settle != NULL && setup->binding->settle(&e) < 0)
		fail(setup, e.message);
}

/*
 * Either the front has another template and still guards the runs that were forked here, or the
 * front is gone. A process that has lost its guard is killed here, since nothing else would end it.
 */
static void drain(struct template *t)
{
	while (t->count > 0) {
		struct pollfd events[1 + GUARDS_LOOKED_AT] = {{.fd = t->signals, .events = POLLIN}};
		size_t looked = t->count < GUARDS_LOOKED_AT ? t->count : GUARDS_LOOKED_AT;

		for (size_t i = 0; i < looked; i++)
			events[1 + i].fd = t->children[i].channel;
		if (poll(events, (nfds_t)(1 + looked), orphan_grace_left(&t->grace)) < 0)
			continue;
		/*
		 * A guard holds the other end of its run's channel. When that is closed, a hang-up
		 * shows here.
		 */
		for (size_t i = 0; i < looked; i++)
			if (events[1 + i].revents != 0) {
				kill(-t->children[i].pid, SIGKILL);
				kill(t->children[i].pid, SIGKILL);
				fd_close(&t->children[i].channel);
			}
		if (events[0].revents != 0)
			reap_children(t);
		if (orphan_grace_left(&t->grace) == 0)
			kill_orphans(t);
	}
}

static void take_orders(struct template *t)
{
	struct template_order order;
	struct process_ends ends;
	int fds[FD_PASS_MAX];
	ssize_t n = fd_receive(t->setup->channel, &order, sizeof(order), fds, MSG_DONTWAIT);

	ends = (struct process_ends){fds[0], fds[1], fds[2]};
	if (n == sizeof(order) && order.log != 0)
		dup3(fds[0], t->setup->log->fd, O_CLOEXEC);
	else if (n == sizeof(order))
		fork_one(t, order.warm != 0, &ends);
	else if (n == 0 || (n < 0 && errno != EAGAIN))
		t->draining = true;
	process_ends_close(&ends);
}

/*
 * The table is in a mapping that children do not inherit. In the heap, which children share until
 * it is written, each fork would make the next write copy a page and break up a huge page.
 */
static int children_reserve(struct template *t)
{
	size_t had = t->capacity * sizeof(*t->children);
	size_t size = had > 0 ? 2 * had : CHILDREN_FIRST * sizeof(*t->children);
	void *memory;

	if (t->count < t->capacity)
		return 0;
	memory = had > 0
		     ? mremap(t->children, had, size, MREMAP_MAYMOVE)
		     : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	madvise(memory, size, MADV_DONTFORK);
	t->children = memory;
	t->capacity = size / sizeof(*t->children);
	return 0;
}

/*
 * A failed fork is answered too, so that the front does not wait for it. The channel's end is kept,
 * to report the child's death on it.
 */
static void fork_one(struct template *t, bool warm, struct process_ends *ends)
{
	const struct request_process_setup setup = {
	    .binding = t->setup->binding, .warm = warm, .load = app_worker_main};
	struct template_answer answer = {.pid = -1};
	struct error e = {"out of memory"};
	FD_OWNED int handle = -1;

	if (ends->errors < 0)
		error_set(&e, "its descriptors did not come");
	else if (children_reserve(t) == 0)
		answer.pid = request_process_fork(&setup, ends, &e);
	if (answer.pid > 0) {
		handle = (int)syscall(SYS_pidfd_open, answer.pid, 0);
		t->children[t->count++] =
		    (struct child){.pid = answer.pid, .channel = ends->channel};
		ends->channel = -1;
	} else {
		log_message(t->setup->log, LEVEL_ERROR, "no request process: %s", e.message);
	}
	fd_send(t->setup->channel, &answer, sizeof(answer), &handle, handle >= 0 ? 1 : 0);
}

static void child_died(struct template *t, pid_t pid, int wait_status, const struct rusage *usage)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->children[i].pid != pid)
			continue;
		run_report_end(t->children[i].channel, RUN_DIED, wait_status, usage);
		fd_close(&t->children[i].channel);
		t->children[i] = t->children[--t->count];
		return;
	}
}

static bool is_ours(const struct template *t, pid_t pid)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->children[i].pid == pid)
			return true;
	return false;
}

/*
 * Processes that a run has left behind, in any process group, became children of the template when
 * the run's own process died, since the template is a subreaper. The children of a process that is
 * killed here come with the next SIGCHLD.
 */
static void kill_orphans(struct template *t)
{
	char text[4096];
	ssize_t n = t->kin >= 0 ? pread(t->kin, text, sizeof(text) - 1, 0) : 0;
	char *at = text, *end;

	orphan_grace_begin(&t->grace);
	text[n > 0 ? n : 0] = '\0';
	for (long pid = strtol(at, &end, 10); end != at && *end == ' ';
	     pid = strtol(at, &end, 10)) {
		at = end;
		if (pid > 1 && !is_ours(t, (pid_t)pid) &&
		    !orphan_grace_spares(&t->grace, (pid_t)pid))
			kill((pid_t)pid, SIGKILL);
	}
	orphan_grace_finish(&t->grace);
}

static void reap_children(struct template *t)
{
	struct signalfd_siginfo ignored;
	struct rusage usage;
	bool any = false;
	pid_t pid;
	int wait_status;

	(void)!read(t->signals, &ignored, sizeof(ignored));
	while ((pid = wait4(-1, &wait_status, WNOHANG, &usage)) > 0) {
		child_died(t, pid, wait_status, &usage);
		any = true;
	}
	if (any)
		kill_orphans(t);
}

static void tell(const struct template_setup *setup, enum template_event event, const char *text)
{
	struct template_status message = {.event = event};

	snprintf(message.text, sizeof(message.text), "%s", text);
	fd_send(setup->status, &message, sizeof(message), NULL, 0);
}
