/*
 * A template is replaced by starting the next one beside it; when that says it is ready its channel
 * is passed to the front, and the old one ends by itself after the last run it forked. The same way
 * serves a template that died, a reload and modules to preload.
 *
 * Only one starts at a time. What is wanted meanwhile is started when that one has come up or
 * failed.
 */
#include "master/template_keeper.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "binding.h"
#include "config/config.h"
#include "ipc/template_channel.h"
#include "template/template.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST (100 * CLOCK_MILLISECOND)
#define BACKOFF_MOST (5000 * CLOCK_MILLISECOND)
#define START_MAX (60000 * CLOCK_MILLISECOND) /* a template must say that it is ready */
#define GATHER_NOTICED                                                                             \
	(300 * CLOCK_MILLISECOND) /* names come in groups; one new template for all */

static void start(struct template_keeper *k, void (*in_child)(void *), void *argument);
static void start_failed(struct template_keeper *k, const char *how);
static void starting_release(struct template_keeper *k);

void template_keeper_init(struct template_keeper *k, const struct binding *binding, struct log *log,
    const struct config_list *configured)
{
	*k = (struct template_keeper){.binding = binding,
	    .log = log,
	    .starting = {.status = -1, .channel = -1},
	    .backoff = BACKOFF_FIRST};
	preload_init(&k->preload, configured, binding->name);
}

void template_keeper_configure(struct template_keeper *k, const struct config_list *configured)
{
	preload_configure(&k->preload, configured, k->binding->name);
}

void template_keeper_want(struct template_keeper *k, uint64_t delay)
{
	uint64_t at = clock_now() + delay;

	if (k->start_at == 0 || at < k->start_at)
		k->start_at = at;
}

void template_keeper_reopen_log(struct template_keeper *k)
{
	if (k->starting.pid > 0)
		template_set_log(k->starting.channel, k->log->fd);
}

void template_keeper_notice(struct template_keeper *k, const char *name)
{
	if (!preload_add_noticed(&k->preload, name))
		return;
	log_message(k->log, LEVEL_INFO, "%s is preloaded from now on", name);
	template_keeper_want(k, GATHER_NOTICED);
}

void template_keeper_forget_template(struct template_keeper *k)
{
	k->template = 0;
	template_keeper_want(k, 0);
}

uint64_t template_keeper_work(struct template_keeper *k, void (*in_child)(void *), void *argument)
{
	uint64_t now = clock_now();

	if (k->start_at != 0 && k->starting.pid == 0 && now >= k->start_at)
		start(k, in_child, argument);
	if (k->starting.pid == 0)
		return k->start_at;
	if (now >= k->starting.deadline) {
		kill(k->starting.pid, SIGKILL);
		k->starting.deadline = now + START_MAX;
	}
	return k->starting.deadline;
}

bool template_keeper_is_at_rest(const struct template_keeper *k)
{
	return k->start_at == 0 && k->starting.pid == 0;
}

/* A pair of sockets; -1 after a message if there are no descriptors left. */
static int open_pair(const struct template_keeper *k, int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0)
		return 0;
	log_message(
	    k->log, LEVEL_ERROR, "%s template: socketpair: %s", k->binding->name, strerror(errno));
	ends[0] = ends[1] = -1;
	return -1;
}

static void start(struct template_keeper *k, void (*in_child)(void *), void *argument)
{
	int channel[2] = {-1, -1}, status[2] = {-1, -1};
	struct template_setup setup = {.binding = k->binding,
	    .preload = k->preload.names.items,
	    .preload_count = k->preload.names.count,
	    .log = k->log};
	pid_t pid = -1;

	k->start_at = 0;
	if (open_pair(k, channel) == 0 && open_pair(k, status) == 0) {
		pid = fork();
		if (pid < 0)
			log_message(k->log, LEVEL_ERROR, "%s template: fork: %s", k->binding->name,
			    strerror(errno));
	}
	if (pid == 0) {
		in_child(argument);
		close(channel[0]);
		close(status[0]);
		setup.channel = channel[1];
		setup.status = status[1];
		template_main(&setup);
	}
	fd_close(&channel[1]);
	fd_close(&status[1]);
	if (pid < 0) {
		/* A pid of -1 must not be kept: to kill(2) it is everybody. */
		fd_close(&channel[0]);
		fd_close(&status[0]);
		template_keeper_want(k, k->backoff);
		return;
	}
	k->starting.pid = pid;
	k->starting.status = status[0];
	k->starting.channel = channel[0];
	k->starting.deadline = clock_now() + START_MAX;
}

static void starting_release(struct template_keeper *k)
{
	k->starting.pid = 0;
	fd_close(&k->starting.status);
	fd_close(&k->starting.channel);
}

bool template_keeper_take_status(struct template_keeper *k, int *channel)
{
	struct template_status message;

	if (k->starting.status < 0 ||
	    template_status_receive(k->starting.status, &message, MSG_DONTWAIT) != 1)
		return false;
	switch (message.event) {
	case TEMPLATE_READY:
		*channel = k->starting.channel;
		k->starting.channel = -1;
		k->template = k->starting.pid;
		k->backoff = BACKOFF_FIRST;
		k->ready = true;
		starting_release(k);
		return true;
	case TEMPLATE_REFUSED:
		log_message(k->log, LEVEL_WARNING,
		    "%s starts a thread when it is loaded, and so is not preloaded", message.text);
		preload_refuse(&k->preload, message.text);
		template_keeper_want(k, 0);
		break;
	case TEMPLATE_FAILED:
		log_message(k->log, LEVEL_ERROR, "%s template: %s", k->binding->name, message.text);
		break;
	default: break;
	}
	return false;
}

bool template_keeper_child_died(struct template_keeper *k, pid_t pid, const char *how)
{
	int channel = -1;

	if (pid == k->template) {
		log_message(k->log, LEVEL_ERROR, "%s template: %s; starting another",
		    k->binding->name, how);
		template_keeper_forget_template(k);
		return true;
	}
	if (pid != k->starting.pid)
		return false;
	/* It may have said why. Had it been ready before it died, it would be no use now. */
	if (template_keeper_take_status(k, &channel)) {
		fd_close(&channel);
		return template_keeper_child_died(k, pid, how);
	}
	start_failed(k, how);
	return true;
}

/* What was noticed may be why, so the next one starts without. */
static void start_failed(struct template_keeper *k, const char *how)
{
	bool dropped;

	starting_release(k);
	log_message(k->log, LEVEL_ERROR, "%s template: %s while starting", k->binding->name, how);
	dropped = preload_drop_noticed(&k->preload);
	if (!k->ready && !dropped && k->start_at == 0) {
		k->hopeless = true;
	} else if (k->template == 0 || k->start_at != 0) {
		template_keeper_want(k, k->backoff);
		k->backoff = k->backoff * 2 < BACKOFF_MOST ? k->backoff * 2 : BACKOFF_MOST;
	}
}

static void end_process(pid_t pid)
{
	if (pid > 0 && kill(pid, SIGKILL) == 0)
		waitpid(pid, NULL, 0);
}

void template_keeper_release(struct template_keeper *k)
{
	end_process(k->template);
	end_process(k->starting.pid);
	starting_release(k);
	preload_release(&k->preload);
}
