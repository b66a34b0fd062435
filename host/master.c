/*
 * One loop, three things to wait for: signals, what the front asks, and how a template that starts
 * is doing. No interpreter and no request ever get in here, so nothing a client or an extension
 * does can end it.
 *
 * A template is replaced by starting the next one beside it; when that says it is ready its channel
 * is passed to the front, and the old one ends by itself after the last run it forked. The same way
 * serves a template that died, a reload and modules to preload.
 */
#include "master.h"

#include "config.h"
#include "error.h"
#include "fd.h"
#include "front.h"
#include "listen.h"
#include "log.h"
#include "preload.h"
#include "request.h"
#include "template.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MILLISECOND 1000000ULL
#define BACKOFF_FIRST (100 * MILLISECOND)
#define BACKOFF_MOST (5000 * MILLISECOND)
#define TEMPLATE_START_MAX (60000 * MILLISECOND) /* a template must say that it is ready */
#define GATHER_NOTICED (300 * MILLISECOND) /* names come in groups; one new template for all */

/* A template that has not said yet that it is ready. */
struct starting {
	pid_t pid;   /* 0: none */
	int status;  /* from it */
	int channel; /* the front's end, passed on when it is ready */
	uint64_t deadline;
};

struct master {
	const struct master_setup *setup;
	int signals;
	pid_t front;
	int front_channel;
	pid_t template; /* the one that forks now; 0: none */
	struct starting starting;
	struct preload preload;
	uint64_t start_at; /* when to start the next template; 0: not */
	uint64_t backoff;
	bool ready; /* has been, once */
	bool stopping;
	int exit_status;
};

static void take_signals(struct master *m);
static void reap_children(struct master *m);
static void take_front_message(struct master *m);
static void take_template_status(struct master *m);
static void start_front(struct master *m);
static void start_template(struct master *m);
static void want_template(struct master *m, uint64_t delay);
static void tell_front(const struct master *m, enum front_order order, int descriptor);
static int next_timeout(const struct master *m);
static void stop(struct master *m);

static void block_signals(struct master *m)
{
	static const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int master_run(const struct master_setup *setup)
{
	struct master m = {.setup = setup,
	    .front_channel = -1,
	    .starting = {.status = -1, .channel = -1},
	    .backoff = BACKOFF_FIRST};

	block_signals(&m);
	preload_init(&m.preload, &setup->config->preload);
	start_front(&m);
	start_template(&m);
	while (!m.stopping) {
		struct pollfd events[] = {{.fd = m.signals, .events = POLLIN},
		    {.fd = m.front_channel, .events = POLLIN},
		    {.fd = m.starting.status, .events = POLLIN}};
		int n = poll(events, 3, next_timeout(&m));

		if (n > 0 && events[1].revents != 0)
			take_front_message(&m);
		if (n > 0 && events[2].revents != 0)
			take_template_status(&m);
		if (n > 0 && events[0].revents != 0)
			take_signals(&m);
		/* One at a time: what is due meanwhile is started when that one has come up or failed. */
		if (m.start_at != 0 && m.starting.pid == 0 && request_clock() >= m.start_at &&
		    !m.stopping)
			start_template(&m);
		if (m.starting.pid != 0 && request_clock() >= m.starting.deadline)
			kill(m.starting.pid, SIGKILL);
	}
	stop(&m);
	preload_release(&m.preload);
	fd_close(&m.signals);
	return m.exit_status;
}

/* Milliseconds until something is due, or -1. */
static int next_timeout(const struct master *m)
{
	uint64_t now = request_clock();
	uint64_t due = m->starting.pid != 0 ? m->starting.deadline : m->start_at;

	if (due == 0)
		return -1;
	return due <= now ? 0 : (int)((due - now) / MILLISECOND) + 1;
}

static void take_signals(struct master *m)
{
	struct signalfd_siginfo info;
	struct error e;

	while (read(m->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD: reap_children(m); break;
		case SIGTERM:
		case SIGINT: m->stopping = true; break;
		case SIGUSR1:
			if (log_reopen(m->setup->log, &e) < 0)
				log_message(m->setup->log, LEVEL_ERROR, "%s", e.message);
			tell_front(m, FRONT_REOPEN, -1);
			want_template(m, 0);
			break;
		case SIGHUP: want_template(m, 0); break;
		default: break;
		}
	}
}

static void describe_death(char *text, size_t size, int wait_status)
{
	if (WIFSIGNALED(wait_status))
		snprintf(text, size, "signal %d (%s)", WTERMSIG(wait_status),
		    strsignal(WTERMSIG(wait_status)));
	else
		snprintf(text, size, "exit status %d", WEXITSTATUS(wait_status));
}

static void starting_release(struct master *m)
{
	m->starting.pid = 0;
	fd_close(&m->starting.status);
	fd_close(&m->starting.channel);
}

/* It could not start. What was noticed may be why, so the next one starts without. */
static void template_failed(struct master *m, const char *how)
{
	take_template_status(m);
	starting_release(m);
	log_message(m->setup->log, LEVEL_ERROR, "template: %s while starting", how);
	if (!m->ready && !preload_drop_noticed(&m->preload) && m->start_at == 0) {
		m->exit_status = 1;
		m->stopping = true;
		return;
	}
	preload_drop_noticed(&m->preload);
	if (m->template == 0 || m->start_at != 0) {
		want_template(m, m->backoff);
		m->backoff = m->backoff * 2 < BACKOFF_MOST ? m->backoff * 2 : BACKOFF_MOST;
	}
}

static void child_died(struct master *m, pid_t pid, int wait_status)
{
	char how[64];

	describe_death(how, sizeof(how), wait_status);
	if (pid == m->starting.pid) {
		template_failed(m, how);
	} else if (pid == m->template) {
		m->template = 0;
		log_message(m->setup->log, LEVEL_ERROR, "template: %s; starting another", how);
		want_template(m, 0);
	} else if (pid == m->front) {
		log_message(m->setup->log, LEVEL_ERROR, "front: %s; starting another", how);
		fd_close(&m->front_channel);
		start_front(m);
		/* The template's channel went with the front. */
		m->template = 0;
		want_template(m, 0);
	}
}

static void reap_children(struct master *m)
{
	pid_t pid;
	int wait_status;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		child_died(m, pid, wait_status);
}

static void take_front_message(struct master *m)
{
	char name[512];
	int fds[FD_PASS_MAX];
	ssize_t n = fd_receive(m->front_channel, name, sizeof(name) - 1, fds, MSG_DONTWAIT);

	if (n <= 0) {
		if (n == 0)
			fd_close(&m->front_channel);
		return;
	}
	name[n] = '\0';
	if (preload_add_noticed(&m->preload, name)) {
		log_message(m->setup->log, LEVEL_INFO, "%s is preloaded from now on", name);
		want_template(m, GATHER_NOTICED);
	}
}

static void template_ready(struct master *m)
{
	tell_front(m, FRONT_TEMPLATE, m->starting.channel);
	m->template = m->starting.pid;
	m->backoff = BACKOFF_FIRST;
	starting_release(m);
	if (m->ready)
		return;
	m->ready = true;
	for (size_t i = 0; i < m->setup->listener_count; i++)
		log_message(m->setup->log, LEVEL_INFO, "listening at %s%s%s%s",
		    m->setup->listeners[i].address, m->setup->listeners[i].path != NULL ? " " : "",
		    m->setup->listeners[i].path != NULL ? m->setup->listeners[i].path : "",
		    m->setup->listeners[i].trust_fossil ? ", trusted as Fossil" : "");
	log_message(m->setup->log, LEVEL_INFO, "ready, serving %s", m->setup->config->root);
}

static void take_template_status(struct master *m)
{
	struct template_status message;

	if (m->starting.status < 0 ||
	    template_status_receive(m->starting.status, &message, MSG_DONTWAIT) != 1)
		return;
	switch (message.event) {
	case TEMPLATE_READY: template_ready(m); break;
	case TEMPLATE_REFUSED:
		log_message(m->setup->log, LEVEL_WARNING,
		    "%s starts a thread when it is loaded, and so is not preloaded", message.text);
		preload_refuse(&m->preload, message.text);
		want_template(m, 0);
		break;
	case TEMPLATE_FAILED:
		log_message(m->setup->log, LEVEL_ERROR, "template: %s", message.text);
		break;
	default: break;
	}
}

static void want_template(struct master *m, uint64_t delay)
{
	uint64_t at = request_clock() + delay;

	if (m->start_at == 0 || at < m->start_at)
		m->start_at = at;
}

/* What a child of the master's must not have of it. */
static void become_child(const struct master *m)
{
	/* The signals stay blocked: a Ctrl-C at the terminal is the master's to deal with. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(m->signals);
}

static void start_front(struct master *m)
{
	int ends[2];
	struct front_setup setup = {.config = m->setup->config,
	    .log = m->setup->log,
	    .bindings = m->setup->bindings,
	    .listeners = m->setup->listeners,
	    .listener_count = m->setup->listener_count};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	while ((m->front = fork()) < 0) {
		log_message(m->setup->log, LEVEL_ERROR, "fork of the front: %s", strerror(errno));
		poll(NULL, 0, (int)(BACKOFF_FIRST / MILLISECOND));
	}
	if (m->front == 0) {
		become_child(m);
		close(ends[0]);
		starting_release(m);
		setup.master = ends[1];
		front_main(&setup);
	}
	close(ends[1]);
	m->front_channel = ends[0];
}

static void start_template(struct master *m)
{
	int channel[2], status[2];
	struct template_setup setup = {.bindings = m->setup->bindings,
	    .only = -1,
	    .preload = m->preload.names.items,
	    .preload_count = m->preload.names.count,
	    .log = m->setup->log};

	m->start_at = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status) < 0) {
		close(channel[0]);
		close(channel[1]);
		return;
	}
	m->starting.pid = fork();
	if (m->starting.pid == 0) {
		become_child(m);
		close(channel[0]);
		close(status[0]);
		fd_close(&m->front_channel);
		for (size_t i = 0; i < m->setup->listener_count; i++)
			fd_close(&m->setup->listeners[i].fd);
		setup.channel = channel[1];
		setup.status = status[1];
		template_main(&setup);
	}
	close(channel[1]);
	close(status[1]);
	if (m->starting.pid < 0) {
		/* A pid of -1 must not be kept: to kill(2) it is everybody. */
		log_message(m->setup->log, LEVEL_ERROR, "fork of a template: %s", strerror(errno));
		m->starting.pid = 0;
		close(channel[0]);
		close(status[0]);
		want_template(m, m->backoff);
		return;
	}
	m->starting.status = status[0];
	m->starting.channel = channel[0];
	m->starting.deadline = request_clock() + TEMPLATE_START_MAX;
}

static void tell_front(const struct master *m, enum front_order order, int descriptor)
{
	uint32_t message = order;

	if (m->front_channel >= 0)
		fd_send(m->front_channel, &message, sizeof(message), &descriptor,
		    descriptor >= 0 ? 1 : 0);
}

/* The front ends when its requests have; with it gone nobody needs the templates. */
static void stop(struct master *m)
{
	struct pollfd front = {.fd = m->front_channel, .events = POLLIN};
	uint64_t deadline = request_clock() + (m->setup->config->grace * 1000 + 2000) * MILLISECOND;
	char ignored[512];

	log_message(m->setup->log, LEVEL_INFO, "stopping");
	tell_front(m, FRONT_STOP, -1);
	while (front.fd >= 0 && request_clock() < deadline && poll(&front, 1, 100) >= 0)
		if (front.revents != 0 && read(front.fd, ignored, sizeof(ignored)) <= 0)
			break;
	if (m->front > 0)
		kill(m->front, SIGKILL);
	if (m->template > 0)
		kill(m->template, SIGKILL);
	if (m->starting.pid > 0)
		kill(m->starting.pid, SIGKILL);
	starting_release(m);
	fd_close(&m->front_channel);
	while (waitpid(-1, NULL, 0) > 0)
		;
	log_message(m->setup->log, LEVEL_INFO, "stopped");
}
