/*
 * One thread watches all app workers that have no request of the front's: workers that load, are
 * idle, leave or serve sockets of their own. It takes the reports of their ends, logs their
 * standard error, and dismisses workers that are too many or too old.
 *
 * An event names a worker by a number, since the worker may be gone when the lock is taken.
 */
#include "pool/pool_watch.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "ipc/process_limit.h"
#include "ipc/run_channel.h"
#include "ipc/scoreboard.h"
#include "pool/pool_app.h"
#include "pool/pool_files.h"
#include "pool/pool_setup.h"
#include "pool/pool_sockets.h"
#include "pool/pool_supply.h"
#include "pool/pool_worker.h"
#include "request/request.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* After a request: standard error is still logged with the request's id. */
#define LATE_OUTPUT_NS 50000000
#define FILES_MOST 1000 /* files of one load that are looked at */

static void *watch(void *argument);
static struct app_worker_entry *find(struct app_pool *p, uint64_t id);
static void take_event(struct app_pool *p, struct app_worker_entry *w, unsigned kind);
static void take_errors(struct app_worker_entry *w);
static void take_report(struct app_pool *p, struct app_worker_entry *w);
static void take_death(struct app_worker_entry *w, const struct run_report *report);
static void take_file(struct app_worker_entry *w, const char *name);
static void take_loaded(struct app_pool *p, struct app_worker_entry *w);
static void take_end(struct app_pool *p, struct app_worker_entry *w, const struct run_report *end);
static void take_last(struct app_pool *p, struct app_worker_entry *w, bool unread);
static void take_stale(struct app_pool *p, struct app_worker_entry *w, int32_t settle);
static void take_stack(struct app_worker_entry *w, int file);
static void look_at_files(struct app_pool *p);
static void look_at_all(struct app_pool *p);

static void *watch(void *argument)
{
	struct app_pool *p = argument;
	uint64_t look_at = clock_now() + CLOCK_SECOND;

	for (;;) {
		struct epoll_event event;
		int n = epoll_wait(p->epoll, &event, 1, clock_left(look_at));
		struct app_worker_entry *w;

		pthread_mutex_lock(&p->lock);
		w = n > 0 ? find(p, event.data.u64 / WORKER_DESCRIPTORS) : NULL;
		if (n > 0 && event.data.u64 == POOL_FILES_EVENT)
			look_at_files(p);
		else if (w != NULL)
			take_event(p, w, event.data.u64 % WORKER_DESCRIPTORS);
		if (clock_now() >= look_at) {
			look_at_all(p);
			look_at = clock_now() + CLOCK_SECOND;
		}
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

/* A guard may have had the worker since the event: then there may be nothing left to read. */
static void take_event(struct app_pool *p, struct app_worker_entry *w, unsigned kind)
{
	struct pollfd event = {.fd = *worker_descriptor(w, (int)kind), .events = POLLIN};

	if (w->state == APP_BUSY || event.fd < 0 || poll(&event, 1, 0) <= 0)
		return;
	switch (kind) {
	case WORKER_CHANNEL: take_report(p, w); break;
	case WORKER_ERRORS: take_errors(w); break;
	default:
		if (process_limit_answer(w->notices, &(uint64_t){UINT64_MAX}) < 0)
			fd_close(&w->notices);
	}
}

static struct app_worker_entry *find(struct app_pool *p, uint64_t id)
{
	for (struct app *a = p->apps; a != NULL; a = a->next)
		for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
			if (w->id == id)
				return w;
	return NULL;
}

/* Log standard error under the request that a direct worker is answering, or just has. */
static void note_request(struct app_worker_entry *w)
{
	bool known =
	    w->slot != NULL && (atomic_load(&w->slot->turn) % 2 == 1 ||
				   clock_now() - atomic_load(&w->slot->ended) < LATE_OUTPUT_NS);

	if (known)
		memcpy(w->request, w->slot->shown[atomic_load(&w->slot->place)].id,
		    sizeof(w->request) - 1);
	w->errors.request = known ? w->request : NULL;
}

static void take_errors(struct app_worker_entry *w)
{
	char piece[4096];
	ssize_t n = read(w->process.errors, piece, sizeof(piece));

	note_request(w);
	if (n > 0)
		stderr_log_add(&w->errors, piece, (size_t)n);
	else if (n == 0 || errno != EINTR)
		fd_close(&w->process.errors);
}

static void empty_errors(struct app_worker_entry *w)
{
	struct pollfd event = {.events = POLLIN};

	for (event.fd = w->process.errors; event.fd >= 0 && poll(&event, 1, 0) > 0;
	     event.fd = w->process.errors)
		take_errors(w);
}

static void take_report(struct app_pool *p, struct app_worker_entry *w)
{
	struct run_report report;
	FD_OWNED int descriptor = -1;
	int n = run_report_receive(w->process.channel, &report, &descriptor);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		take_last(p, w, n < 0 && errno == ECONNRESET);
		return;
	}
	switch (report.type) {
	case RUN_FILE: take_file(w, report.text); break;
	case RUN_LOADED: take_loaded(p, w); break;
	case RUN_STALE: take_stale(p, w, report.value); break;
	case RUN_STACK:
		if (descriptor >= 0 && w->state != APP_IDLE)
			take_stack(w, descriptor);
		break;
	case RUN_ENDED: take_end(p, w, &report); break;
	case RUN_DIED: take_death(w, &report); break;
	case RUN_PROCESSES:
		worker_unwatch(p, w);
		fd_close(&w->notices);
		w->notices = descriptor;
		descriptor = -1;
		worker_watch(p, w);
		break;
	default: break;
	}
}

/* The first report counts: a guardian's, of its worker. The rest depends on the channel's end. */
static void take_death(struct app_worker_entry *w, const struct run_report *report)
{
	if (report->type != RUN_DIED || w->died)
		return;
	w->died = true;
	w->wait_status = report->value;
}

static void take_file(struct app_worker_entry *w, const char *name)
{
	const struct timespec since = {.tv_sec = (time_t)(w->began / CLOCK_SECOND),
	    .tv_nsec = (long)(w->began % CLOCK_SECOND)};

	if (w->state == APP_LOADS && w->files.count < FILES_MOST)
		app_files_add(&w->files, name, &since);
}

/* If this is the first of the present version, workers of earlier ones are not needed any more. */
static void take_loaded(struct app_pool *p, struct app_worker_entry *w)
{
	struct app *a = w->app;

	if (w->state != APP_LOADS)
		return;
	empty_errors(w);
	a->loads++;
	if (app_step(a, (struct app_version_event){.kind = APP_VERSION_READY,
			    .number = w->version}) == APP_VERSION_REPLACE) {
		a->error[0] = '\0';
		pool_files_take(p, a, &w->files);
		for (struct app_worker_entry *other = a->workers; other != NULL;
		     other = other->next)
			if ((other->state == APP_IDLE || other->state == APP_SERVES) &&
			    other->version != w->version)
				worker_dismiss(other);
	}
	log_message(p->setup->log, LEVEL_INFO, "%s loaded in process %d, %llu ms", a->name,
	    (int)w->process.pid, (unsigned long long)(clock_now() - w->since) / 1000000);
	buffer_release(&w->errors.kept);
	worker_enter(w, a->sockets != NULL ? APP_SERVES : APP_IDLE);
	/* The log that it got when it began to load may have been rotated since. */
	sockets_send_log(p, w);
	if (app_is_ending(p, a) || app_outdates(a, w))
		worker_dismiss(w);
	sockets_tell_stand_in(p, a);
	supply_keep_enough(p, a);
	pthread_cond_broadcast(&a->changed);
}

/* A direct worker has found its files changed. It begins no request until it hears from here. */
static void take_stale(struct app_pool *p, struct app_worker_entry *w, int32_t settle)
{
	const struct app_version_event changed = {
	    .kind = APP_VERSION_CHANGED, .number = w->accepted, .settle = settle};

	if (w->state != APP_SERVES)
		return;
	w->stale = true;
	if (app_step(w->app, changed) == APP_VERSION_GO_ON)
		sockets_resume_all(w->app);
	else
		supply_keep_enough(p, w->app);
}

/* The stack was asked for by the control socket, the guardian or escalation_step(). */
static void take_stack(struct app_worker_entry *w, int file)
{
	char text[16384];
	ssize_t n = pread(file, text, sizeof(text), 0);

	note_request(w);
	if (n > 0)
		stderr_log_add_stack(&w->errors, text, (size_t)n);
	if (w->end.stage == ESCALATION_ASKED)
		escalation_begin(&w->end);
}

static void describe(char *text, size_t size, const struct run_report *end)
{
	if (end->type == RUN_ENDED)
		snprintf(text, size, "exit status %d", end->value);
	else
		process_describe_death(text, size, end->value);
}

static void note_death(struct app *a, const struct app_worker_entry *w)
{
	app_step(
	    a, (struct app_version_event){.kind = APP_VERSION_DIED, .age = clock_now() - w->since});
}

/* A worker that ends by itself before its first request would do so again, without end. */
static bool has_served(const struct app_worker_entry *w)
{
	return w->state == APP_SERVES && atomic_load(&w->slot->requests) > 0;
}

/* A load has failed, unless the kernel killed it, and not the front: for want of memory. */
static void take_failure(
    struct app_pool *p, struct app_worker_entry *w, const struct run_report *end, const char *how)
{
	struct app *a = w->app;
	bool late = w->end.stage > ESCALATION_GOES_ON;

	worker_enter(w, APP_LEAVES);
	supply_refuse(p, a,
	    &(struct app_refusal){.version = w->version,
		.began = w->began,
		.status = late ? 504 : 500,
		.reason = late ? "it takes too long" : how,
		.killed = !late && end->type == RUN_DIED && WIFSIGNALED(end->value) &&
			  WTERMSIG(end->value) == SIGKILL,
		.files = &w->files});
	if (a->version.state == APP_VERSION_REFUSED && w->version == a->version.number)
		buffer_append(&a->output, w->errors.kept.data, w->errors.kept.size);
}

static void take_end(struct app_pool *p, struct app_worker_entry *w, const struct run_report *end)
{
	struct app *a = w->app;
	char how[128];

	empty_errors(w);
	describe(how, sizeof(how), end);
	if (w->state == APP_LOADS) {
		take_failure(p, w, end, how);
	} else if (has_served(w) && end->type == RUN_ENDED && end->value == 0) {
		worker_enter(w, APP_LEAVES);
		supply_keep_enough(p, a);
	} else if (w->state == APP_IDLE || w->state == APP_SERVES) {
		note_death(a, w);
		log_message(p->setup->log, LEVEL_WARNING, "%s: app worker %d, %s", a->name,
		    (int)w->process.pid, how);
		worker_enter(w, APP_LEAVES);
	}
}

/* The worker is lost through no fault of the app, which is loaded in another process. */
static void take_loss(struct app_pool *p, struct app_worker_entry *w)
{
	empty_errors(w);
	if (w->died)
		note_death(w->app, w);
	if (w->state == APP_LOADS)
		app_step(w->app,
		    (struct app_version_event){.kind = APP_VERSION_LOST, .number = w->version});
	if (w->state != APP_LEAVES)
		log_message(p->setup->log, LEVEL_WARNING, "%s: app worker %d is gone, %s",
		    w->app->name, (int)w->process.pid,
		    w->died ? "before it began to load" : "with its template");
}

/*
 * The channel has ended. A template reports a worker's death before it closes its end, so an end
 * without a report means that the template itself is dead. A reset instead of an end means that an
 * order was left unread (unix(7)): of a worker that was loading it was the first order, so nothing
 * of the app was tried. Reports that came before a reset are still to be read.
 */
static void take_last(struct app_pool *p, struct app_worker_entry *w, bool unread)
{
	struct run_report report;
	int descriptor;

	while (unread && run_report_receive(w->process.channel, &report, &descriptor) == 1) {
		fd_close(&descriptor);
		take_death(w, &report);
	}
	if (!w->died || (unread && w->state == APP_LOADS)) {
		take_loss(p, w);
	} else {
		report = (struct run_report){.type = RUN_DIED, .value = w->wait_status};
		take_end(p, w, &report);
	}
	escalation_sweep(&w->end);
	supply_remove(p, w);
}

/*
 * Dismiss workers that have been idle for --idle-exit and are more than --min-workers. The list has
 * the youngest worker first.
 */
static void dismiss_idle(struct app *a)
{
	size_t count = app_count_loaded(a);

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		if (w->state == APP_IDLE && count > a->settings.limits.min_workers &&
		    clock_now() - w->since > a->settings.limits.idle_exit * CLOCK_SECOND) {
			worker_dismiss(w);
			count--;
		}
}

/* A refused version that has been mended is loaded at once, though no request asks for it. */
static void look_at_files_of(struct app_pool *p, struct app *a)
{
	if (a->version.state != APP_VERSION_REFUSED || !pool_files_look(p, a))
		return;
	supply_keep_enough(p, a);
	if (app_count(a) == 0 && !app_is_ending(p, a))
		supply_start_ahead(p, a);
}

static void look_at_files(struct app_pool *p)
{
	for (struct app *a = p->apps; a != NULL; a = a->next) {
		pool_files_take_event(a);
		look_at_files_of(p, a);
	}
}

/* Start the workers that could not be started before. A refused version waits for a request. */
static void look_for_more(struct app_pool *p, struct app *a)
{
	look_at_files_of(p, a);
	if ((a->sockets != NULL || a->version.state != APP_VERSION_REFUSED) &&
	    app_count_loading(a) == 0 &&
	    app_step(a, (struct app_version_event){.kind = APP_VERSION_LOOK}) == APP_VERSION_START)
		supply_keep_enough(p, a);
}

static void look_at_all(struct app_pool *p)
{
	for (struct app *a = p->apps; a != NULL; a = a->next) {
		dismiss_idle(a);
		look_for_more(p, a);
		for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
			if (w->state == APP_LOADS || w->state == APP_LEAVES)
				escalation_step(&w->end);
	}
}

int pool_watch_start(struct app_pool *p)
{
	pthread_t thread;

	if (p->started)
		return 0;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0 || pthread_create(&thread, NULL, watch, p) != 0)
		return -1;
	pthread_detach(thread);
	p->started = true;
	return 0;
}
