/*
 * To replace a template, the keeper starts the next one beside it. When the next one is ready, the
 * front gets its channel, and the old one ends by itself after the last run that it forked. The
 * same way serves after a death, on a reload and when there are more modules to preload.
 *
 * A template that does not answer pings hangs, idle or not: it is killed.
 *
 * One template starts at a time. A start that is wanted in the meantime waits until that one has
 * come up or failed.
 */
#include "master/template_keeper.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "binding.h"
#include "config/config.h"
#include "ipc/template_channel.h"
#include "template/template.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_NS (2 * CLOCK_SECOND) /* with a template that does not answer a ping */
/* Names of modules come in groups: one new template for all that come within this time. */
#define GATHER_NOTICED_NS (300 * CLOCK_MILLISECOND)

static const struct child_rules rules = {.first = 100 * CLOCK_MILLISECOND,
    .most = 5000 * CLOCK_MILLISECOND,
    .ready_within = 60000 * CLOCK_MILLISECOND};

static void forget_serving(struct template_keeper *k);
static void watch_serving(struct template_keeper *k);
static void start(struct template_keeper *k, void (*in_child)(void *), void *argument);
static void start_failed(struct template_keeper *k, pid_t pid, const char *how);

void template_keeper_init(struct template_keeper *k, const struct binding *binding, struct log *log,
    const struct config_list *configured)
{
	*k = (struct template_keeper){
	    .binding = binding, .log = log, .status = -1, .channel = -1, .pings = -1};
	snprintf(k->name, sizeof(k->name), "%s template", binding->name);
	child_init(&k->serving, k->name, log, &rules);
	child_init(&k->next, k->name, log, &rules);
	preload_init(&k->preload, configured, binding->name);
}

void template_keeper_configure(struct template_keeper *k, const struct config_list *configured)
{
	preload_configure(&k->preload, configured, k->binding->name);
}

void template_keeper_want(struct template_keeper *k, uint64_t delay)
{
	child_want(&k->next, delay);
}

void template_keeper_reopen_log(struct template_keeper *k)
{
	if (k->next.pid > 0)
		template_set_log(k->channel, k->log->fd);
}

void template_keeper_notice(struct template_keeper *k, const char *name)
{
	if (!preload_add_noticed(&k->preload, name))
		return;
	log_message(k->log, LEVEL_INFO, "%s is preloaded from now on", name);
	template_keeper_want(k, GATHER_NOTICED_NS);
}

void template_keeper_forget_template(struct template_keeper *k)
{
	forget_serving(k);
	template_keeper_want(k, 0);
}

static void forget_serving(struct template_keeper *k)
{
	child_forget(&k->serving);
	heartbeat_end(&k->heartbeat);
	fd_close(&k->pings);
	k->changed = true;
}

uint64_t template_keeper_work(struct template_keeper *k, void (*in_child)(void *), void *argument)
{
	uint64_t next;

	child_kill_if_late(&k->next);
	watch_serving(k);
	if (child_is_due(&k->next))
		start(k, in_child, argument);
	next = child_next_event(&k->next);
	return next == 0 || (k->heartbeat.due != 0 && k->heartbeat.due < next) ? k->heartbeat.due
									       : next;
}

/* A template that hangs is killed, and then replaced like a dead one. */
static void watch_serving(struct template_keeper *k)
{
	switch (heartbeat_step(&k->heartbeat)) {
	case HEARTBEAT_PING: template_ping(k->pings); break;
	case HEARTBEAT_LATE: k->changed = true; break;
	case HEARTBEAT_LOST:
		log_message(k->log, LEVEL_ERROR, "%s: does not answer, so it is killed", k->name);
		child_signal(&k->serving, SIGKILL);
		k->heartbeat.due = 0;
		break;
	case HEARTBEAT_WAIT: break;
	}
}

void template_keeper_take_answer(struct template_keeper *k)
{
	struct template_status message;

	switch (template_status_receive(k->pings, &message, MSG_DONTWAIT)) {
	case 1: k->changed = heartbeat_answer(&k->heartbeat) || k->changed; break;
	case 0: fd_close(&k->pings); break; /* its death is reaped */
	default: break;
	}
}

bool template_keeper_has_changed(struct template_keeper *k, pid_t *serving, bool *answers)
{
	bool changed = k->changed;

	*serving = k->serving.pid;
	*answers = !heartbeat_is_late(&k->heartbeat);
	k->changed = false;
	return changed;
}

bool template_keeper_is_at_rest(const struct template_keeper *k)
{
	return k->next.due == 0 && k->next.pid == 0;
}

/* What a new template does first. */
struct leaving {
	struct child *child;
	void (*in_child)(void *argument);
	void *argument;
};

static pid_t fork_child(void *context)
{
	const struct leaving *leaving = context;
	pid_t pid = child_fork(leaving->child);

	if (pid == 0)
		leaving->in_child(leaving->argument);
	return pid;
}

static void start(struct template_keeper *k, void (*in_child)(void *), void *argument)
{
	const struct template_setup setup = {.binding = k->binding,
	    .preload = k->preload.names.items,
	    .preload_count = k->preload.names.count,
	    .log = k->log};
	struct leaving leaving = {&k->next, in_child, argument};
	struct template_handle t;

	if (template_start(&setup, fork_child, &leaving, &t) < 0) {
		child_fail(&k->next, "start");
		return;
	}
	k->channel = t.channel;
	k->status = t.status;
}

bool template_keeper_take_status(struct template_keeper *k, int *channel)
{
	struct template_status message;

	if (k->status < 0 || template_status_receive(k->status, &message, MSG_DONTWAIT) != 1)
		return false;
	switch (message.event) {
	case TEMPLATE_READY:
		*channel = k->channel;
		k->channel = -1;
		forget_serving(k);
		k->pings = k->status;
		k->status = -1;
		child_set_ready(&k->next);
		child_move(&k->next, &k->serving);
		heartbeat_begin(&k->heartbeat, HEARTBEAT_EVERY_NS, PATIENCE_NS);
		k->heartbeat.has_answered = true; /* it has started */
		k->ready = true;
		return true;
	case TEMPLATE_REFUSED:
		log_message(k->log, LEVEL_WARNING,
		    "%s starts a thread when it is loaded, and so is not preloaded", message.text);
		preload_refuse(&k->preload, message.text);
		template_keeper_want(k, 0);
		break;
	case TEMPLATE_FAILED:
		log_message(k->log, LEVEL_ERROR, "%s: %s", k->name, message.text);
		break;
	default: break;
	}
	return false;
}

bool template_keeper_child_died(struct template_keeper *k, pid_t pid, const char *how)
{
	int channel = -1;

	if (child_died(&k->serving, pid)) {
		log_message(k->log, LEVEL_ERROR, "%s: %s; starting another", k->name, how);
		template_keeper_forget_template(k);
		return true;
	}
	if (pid != k->next.pid)
		return false;
	/*
	 * Its last message may say why it died. If it says "ready", the template is dead all the
	 * same.
	 */
	if (template_keeper_take_status(k, &channel)) {
		fd_close(&channel);
		return template_keeper_child_died(k, pid, how);
	}
	start_failed(k, pid, how);
	return true;
}

/* A module that extensions use may be the reason, so the next template starts without these. */
static void start_failed(struct template_keeper *k, pid_t pid, const char *how)
{
	bool dropped;

	child_died(&k->next, pid);
	fd_close(&k->status);
	fd_close(&k->channel);
	log_message(k->log, LEVEL_ERROR, "%s: %s while starting", k->name, how);
	dropped = preload_drop_noticed(&k->preload);
	if (!k->ready && !dropped && k->next.due == 0)
		k->hopeless = true;
	else if (k->serving.pid == 0 || k->next.due != 0)
		child_start_again(&k->next);
}

void template_keeper_leave(struct template_keeper *k)
{
	forget_serving(k);
	child_forget(&k->next);
	fd_close(&k->status);
	fd_close(&k->channel);
}

void template_keeper_release(struct template_keeper *k)
{
	child_end(&k->serving);
	child_end(&k->next);
	fd_close(&k->pings);
	fd_close(&k->status);
	fd_close(&k->channel);
	preload_release(&k->preload);
}
