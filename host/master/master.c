/*
 * One loop waits for signals, for the front, for templates that start and for the output of
 * services. No interpreter and no request ever gets into this process, so nothing that a client or
 * an extension does can end it. template_keeper.c, front_keeper.c and service.c start and replace
 * the other processes.
 */
#include "master/master.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/language.h"
#include "base/log.h"
#include "base/process.h"
#include "binding.h"
#include "config/config_check.h"
#include "config/config_read.h"
#include "direct/orphan_grace.h"
#include "master/front_keeper.h"
#include "master/notify.h"
#include "master/orphans.h"
#include "master/service.h"
#include "master/service_process.h"
#include "master/template_keeper.h"
#include "net/listen.h"
#include "net/listen_inherited.h"

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

#define LOOK_AT_SOCKETS_NS (CLOCK_SECOND / 2) /* time between two checks of the sockets */

struct master {
	const struct master_setup *setup;
	int signals;
	struct front_keeper front;
	struct services services;
	uint64_t look_at; /* time of the next check of the sockets' files */
	struct template_keeper keepers[LANGUAGES_MAX]; /* one for each binding */
	int languages;
	bool ready;     /* a template of every language has come up */
	bool reloading; /* the supervisor waits for the end of a reload */
	struct notify notify;
	uint64_t ping_at; /* time of the next watchdog ping to the supervisor; of clock_now() */
	bool stopping;
	bool hurried;              /* a second SIGTERM or SIGINT has come */
	struct orphan_grace grace; /* of children that templates have left behind */
	int exit_status;
};

static void master_start(struct master *m);
static void wait_for_events(struct master *m, int timeout);
static int work(struct master *m);
static void ping_watchdog(struct master *m);
static void look_at_sockets(struct master *m);
static void take_signals(struct master *m);
static void reopen_log(struct master *m);
static void reload(struct master *m);
static void end_reload(struct master *m);
static void reap_children(struct master *m);
static bool is_service(const void *master, pid_t group);
static void take_front_message(struct master *m);
static void take_template_status(struct master *m, int language);
static void leave_master(void *master);
static void want_templates(struct master *m);
static void become_child(void *master);
static bool is_hurried(void *master);
static void tell_front(const struct master *m, enum front_order order, int index, int descriptor);
static void stop(struct master *m);

int master_run(const struct master_setup *setup)
{
	struct master m = {.setup = setup};

	master_start(&m);
	while (!m.stopping) {
		wait_for_events(&m, work(&m));
		end_reload(&m);
	}
	stop(&m);
	fd_close(&m.signals);
	return m.exit_status;
}

static void master_start(struct master *m)
{
	static const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1};
	sigset_t set;

	notify_init(&m->notify);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (taken[i] != SIGINT || !listen_inherited_ignores(SIGINT))
			sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	for (; m->setup->bindings[m->languages] != NULL; m->languages++)
		template_keeper_init(&m->keepers[m->languages], m->setup->bindings[m->languages],
		    m->setup->log, &m->setup->config->preload);
	front_keeper_init(&m->front, m->setup->log, notify_watchdog_every(&m->notify));
	/* With --app one language runs here; the scripts of services may be of any. */
	m->services = (struct services){.bindings = m->setup->source->bindings,
	    .log = m->setup->log,
	    .in_child = become_child,
	    .is_hurried = is_hurried,
	    .argument = m};
	m->look_at = clock_now() + LOOK_AT_SOCKETS_NS;
	want_templates(m);
}

static void wait_for_events(struct master *m, int timeout)
{
	struct pollfd events[2 + 2 * LANGUAGES_MAX + SERVICES_MAX] = {
	    {.fd = m->signals, .events = POLLIN}, {.fd = m->front.channel, .events = POLLIN}};
	struct pollfd *starting = events + 2, *serving = starting + m->languages;
	size_t count = 2 + 2 * (size_t)m->languages;

	for (int i = 0; i < m->languages; i++) {
		starting[i] = (struct pollfd){.fd = m->keepers[i].status, .events = POLLIN};
		serving[i] = (struct pollfd){.fd = m->keepers[i].pings, .events = POLLIN};
	}
	count += services_events(&m->services, events + count);
	if (poll(events, count, timeout) <= 0)
		return;
	if (events[1].revents != 0)
		take_front_message(m);
	for (int i = 0; i < m->languages; i++) {
		if (serving[i].revents != 0)
			template_keeper_take_answer(&m->keepers[i]);
		if (starting[i].revents != 0)
			take_template_status(m, i);
	}
	services_take_output(&m->services);
	if (events[0].revents != 0)
		take_signals(m);
}

static uint64_t work_front(struct master *m)
{
	const struct front_setup setup = {.config = m->setup->config,
	    .log = m->setup->log,
	    .bindings = m->setup->bindings,
	    .source = m->setup->source,
	    .listeners = m->setup->listeners,
	    .listener_count = m->setup->listener_count};

	return front_keeper_work(&m->front, &setup, leave_master, m);
}

static uint64_t work_templates(struct master *m, int language)
{
	struct front_message state = {.order = FRONT_TEMPLATE_STATE, .index = (uint32_t)language};
	uint64_t next = template_keeper_work(&m->keepers[language], become_child, m);

	if (template_keeper_has_changed(&m->keepers[language], &state.pid, &state.healthy))
		front_keeper_tell(&m->front, &state, -1);
	return next;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Do what is due. Returns the milliseconds until something is due again, or -1. */
static int work(struct master *m)
{
	uint64_t first = work_front(m), now = clock_now();

	if (now >= m->look_at)
		look_at_sockets(m);
	first = earlier(first, m->look_at);
	for (int i = 0; i < m->languages; i++)
		first = earlier(first, work_templates(m, i));
	first = earlier(first, m->ready ? services_work(&m->services) : 0);
	front_keeper_tell_services(&m->front, &m->services);
	if (orphan_grace_left(&m->grace) == 0)
		orphans_kill(is_service, m, &m->grace);
	first = earlier(first, m->grace.end);
	return first != 0 ? clock_left(first) : -1;
}

static void look_at_sockets(struct master *m)
{
	m->look_at = clock_now() + LOOK_AT_SOCKETS_NS;
	for (size_t i = 0; i < m->setup->listener_count; i++)
		if (listener_renew_if_dead(&m->setup->listeners[i], m->setup->log))
			tell_front(m, FRONT_LISTENER, (int)i, m->setup->listeners[i].fd);
}

/*
 * Called when the front has answered: a ping to the supervisor says that the loop here turns and
 * that the front does not hang. If the front's next answer would be too late for it, it is due now.
 */
static void ping_watchdog(struct master *m)
{
	uint64_t every = notify_watchdog_every(&m->notify), now = clock_now();

	if (every == 0 || now + m->front.ping_every < m->ping_at)
		return;
	notify_watchdog(&m->notify);
	m->ping_at = now + every;
}

static void take_signals(struct master *m)
{
	struct signalfd_siginfo info;

	while (read(m->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD: reap_children(m); break;
		case SIGTERM:
		case SIGINT: m->stopping = true; break;
		case SIGUSR1: reopen_log(m); break;
		case SIGHUP: reload(m); break;
		default: break;
		}
	}
}

/* Every process that writes to the log gets the new file; no process is replaced. */
static void reopen_log(struct master *m)
{
	struct error e;

	if (log_reopen(m->setup->log, &e) < 0)
		log_message(m->setup->log, LEVEL_ERROR, "%s", e.message);
	for (int i = 0; i < m->languages; i++)
		template_keeper_reopen_log(&m->keepers[i]);
	tell_front(m, FRONT_REOPEN, 0, -1);
}

/* A bad configuration is refused, and the present one stays. */
static void reload(struct master *m)
{
	FD_OWNED int file = -1;

	/* If the host is not ready yet, it says READY when the new templates are ready. */
	if (m->ready) {
		notify_reloading(&m->notify);
		m->reloading = true;
	}
	if (config_check_reload(m->setup->source, m->setup->config, m->setup->log, &file) < 0)
		return;
	tell_front(m, FRONT_RELOAD, 0, file);
	services_configure(&m->services, m->setup->config);
	for (int i = 0; i < m->languages; i++)
		template_keeper_configure(&m->keepers[i], &m->setup->config->preload);
	want_templates(m);
}

/* READY follows each RELOADING when no template starts any more. */
static void end_reload(struct master *m)
{
	for (int i = 0; i < m->languages; i++)
		if (!template_keeper_is_at_rest(&m->keepers[i]))
			return;
	if (m->reloading)
		notify_ready(&m->notify);
	m->reloading = false;
}

static bool is_service(const void *master, pid_t group)
{
	const struct master *m = master;

	return services_has(&m->services, group);
}

/* false: the process is not a child that the master has started. */
static bool take_death(struct master *m, pid_t pid, int wait_status)
{
	bool known = services_child_died(&m->services, pid, wait_status);
	char how[64];

	process_describe_end(how, sizeof(how), wait_status);
	if (front_keeper_child_died(&m->front, pid, how)) {
		/* The templates have lost their channel, whose other end the front held. */
		for (int i = 0; i < m->languages; i++)
			template_keeper_forget_template(&m->keepers[i]);
		return true;
	}
	for (int i = 0; i < m->languages; i++) {
		if (!template_keeper_child_died(&m->keepers[i], pid, how))
			continue;
		known = true;
		if (m->keepers[i].hopeless) {
			m->exit_status = 1;
			m->stopping = true;
		}
	}
	return known;
}

/*
 * When a template dies, its request processes become children of the master, and so does what those
 * have started.
 */
static void reap_children(struct master *m)
{
	bool foreign = false;
	pid_t pid;
	int wait_status;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		foreign = !take_death(m, pid, wait_status) || foreign;
	if (foreign)
		orphans_kill(is_service, m, &m->grace);
}

static void take_front_message(struct master *m)
{
	char name[512];
	int fds[FD_PASS_MAX];
	ssize_t n = fd_receive(m->front.channel, name, sizeof(name) - 1, fds, MSG_DONTWAIT);

	if (n <= 0) {
		if (n == 0)
			fd_close(&m->front.channel);
		return;
	}
	name[n] = '\0';
	if (strcmp(name, FRONT_ANSWER) == 0) {
		front_keeper_take_answer(&m->front);
		ping_watchdog(m);
	}
	for (int i = 0; i < m->languages; i++)
		if (preload_is_of(name, m->setup->bindings[i]->name))
			template_keeper_notice(&m->keepers[i], name);
}

static void say_ready(struct master *m)
{
	char status[512];

	for (size_t i = 0; i < m->setup->listener_count; i++)
		if (!m->setup->listeners[i].control)
			log_message(m->setup->log, LEVEL_INFO, "listening at %s%s%s%s",
			    m->setup->listeners[i].address,
			    m->setup->listeners[i].path != NULL ? " " : "",
			    m->setup->listeners[i].path != NULL ? m->setup->listeners[i].path : "",
			    m->setup->listeners[i].trust_fossil ? ", trusted as Fossil" : "");
	log_message(m->setup->log, LEVEL_INFO, "ready, serving %s", m->setup->config->root);
	snprintf(status, sizeof(status), "serving %s", m->setup->config->root);
	notify_status(&m->notify, status);
	notify_ready(&m->notify);
	services_configure(&m->services, m->setup->config);
}

static void take_template_status(struct master *m, int language)
{
	int channel;
	bool all = true;

	if (!template_keeper_take_status(&m->keepers[language], &channel))
		return;
	tell_front(m, FRONT_TEMPLATE, language, channel);
	close(channel);
	for (int i = 0; i < m->languages; i++)
		all = all && m->keepers[i].ready;
	if (all && !m->ready)
		say_ready(m);
	m->ready = all;
}

static void want_templates(struct master *m)
{
	for (int i = 0; i < m->languages; i++)
		template_keeper_want(&m->keepers[i], 0);
}

/* In a child of the master: close what belongs to the master alone. */
static void leave_master(void *master)
{
	struct master *m = master;

	/* The signals stay blocked: a Ctrl-C at the terminal is for the master to deal with. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd_close(&m->signals);
	front_keeper_leave(&m->front);
	services_leave(&m->services);
	for (int i = 0; i < m->languages; i++)
		template_keeper_leave(&m->keepers[i]);
}

/* The same for a child that serves no listener and does not get the front's orders. */
static void become_child(void *master)
{
	struct master *m = master;

	leave_master(m);
	fd_close(&m->front.channel);
	for (size_t i = 0; i < m->setup->listener_count; i++)
		fd_close(&m->setup->listeners[i].fd);
}

static void tell_front(const struct master *m, enum front_order order, int index, int descriptor)
{
	const struct front_message message = {.order = order,
	    .index = (uint32_t)index,
	    .pid = order == FRONT_TEMPLATE ? m->keepers[index].serving.pid : 0};

	front_keeper_tell(&m->front, &message, descriptor);
}

/* A second SIGTERM or SIGINT means: do not wait. */
static bool is_hurried(void *master)
{
	struct master *m = master;
	struct signalfd_siginfo info;

	while (read(m->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		m->hurried |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
	return m->hurried;
}

/*
 * The front ends when its requests have ended; after that the templates are of no use. The master
 * waits for its own children only: as PID 1, and after an exec, it may have children that it did
 * not start.
 */
static void stop(struct master *m)
{
	struct pollfd front = {.fd = m->front.channel, .events = POLLIN};
	uint64_t deadline =
	    clock_now() + (m->setup->config->grace * 1000 + 2000) * CLOCK_MILLISECOND;
	char ignored[512];

	log_message(m->setup->log, LEVEL_INFO, "stopping");
	notify_stopping(&m->notify);
	/* Services use this host, and so they end before it. */
	services_stop(&m->services, deadline - 2 * CLOCK_SECOND);
	tell_front(m, FRONT_STOP, 0, -1);
	while (front.fd >= 0 && clock_now() < deadline && poll(&front, 1, 100) >= 0) {
		if (front.revents != 0 && read(front.fd, ignored, sizeof(ignored)) <= 0)
			break;
		if (is_hurried(m))
			break;
	}
	front_keeper_release(&m->front);
	for (int i = 0; i < m->languages; i++)
		template_keeper_release(&m->keepers[i]);
	log_message(m->setup->log, LEVEL_INFO, "stopped");
}
