#include "pool/pool_worker.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "ipc/scoreboard.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEAVE_GRACE_NS (5 * CLOCK_SECOND)

int *worker_descriptor(struct app_worker_entry *w, int kind)
{
	return kind == WORKER_CHANNEL  ? &w->process.channel
	       : kind == WORKER_ERRORS ? &w->process.errors
				       : &w->notices;
}

void worker_watch(struct app_pool *p, struct app_worker_entry *w)
{
	for (int kind = 0; kind < WORKER_DESCRIPTORS; kind++) {
		struct epoll_event event = {
		    .events = EPOLLIN, .data.u64 = w->id * WORKER_DESCRIPTORS + (unsigned)kind};

		if (*worker_descriptor(w, kind) >= 0)
			epoll_ctl(p->epoll, EPOLL_CTL_ADD, *worker_descriptor(w, kind), &event);
	}
}

void worker_unwatch(struct app_pool *p, struct app_worker_entry *w)
{
	for (int kind = 0; kind < WORKER_DESCRIPTORS; kind++)
		if (*worker_descriptor(w, kind) >= 0)
			epoll_ctl(p->epoll, EPOLL_CTL_DEL, *worker_descriptor(w, kind), NULL);
}

void worker_dismiss(struct app_worker_entry *w)
{
	app_enter(w, APP_LEAVES);
	shutdown(w->process.channel, SHUT_WR);
	escalation_init(&w->end, &w->process,
	    clock_now() + LEAVE_GRACE_NS +
		(w->slot != NULL ? w->app->settings.limits.timeout * CLOCK_SECOND : 0));
}

void worker_give_up(struct app_worker_entry *w)
{
	worker_dismiss(w);
	escalation_begin(&w->end);
}

static struct scoreboard_slot *make_slot(int *file)
{
	void *memory = MAP_FAILED;

	*file = fd_memory_file("exthost-slot");
	if (*file >= 0 && ftruncate(*file, sizeof(struct scoreboard_slot)) == 0)
		memory = mmap(NULL, sizeof(struct scoreboard_slot), PROT_READ | PROT_WRITE,
		    MAP_SHARED, *file, 0);
	return memory != MAP_FAILED ? memory : NULL;
}

int worker_send_sockets(
    struct app_pool *p, const struct app *a, int channel, struct scoreboard_slot **slot)
{
	const struct app_sockets *sockets = a->sockets;
	const struct run_serve_files files = {.listeners = (uint32_t)sockets->count,
	    .is_tcp = sockets->is_tcp,
	    .trusted = sockets->trusted};
	FD_OWNED int file = -1;
	int fds[FD_PASS_MAX] = {-1, p->setup->log->fd, sockets->exchange[0], sockets->exchange[1]};
	int result = -1;

	*slot = make_slot(&file);
	if (*slot == NULL)
		return -1;
	fds[RUN_SERVE_SLOT] = file;
	for (size_t i = 0; i < sockets->count; i++)
		fds[RUN_SERVE_LISTENERS + i] = sockets->listeners[i];
	result =
	    fd_send(channel, &files, sizeof(files), fds, RUN_SERVE_LISTENERS + (int)sockets->count);
	if (result < 0) {
		munmap(*slot, sizeof(**slot));
		*slot = NULL;
	}
	return result;
}

void worker_tell_stand_in(struct app_pool *p, struct app *a)
{
	bool needed = a->sockets != NULL && a->refused == a->generation;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		needed = needed && w->state != APP_SERVES;
	if (a->sockets == NULL || needed == a->sockets->stood_in)
		return;
	a->sockets->stood_in = needed;
	p->setup->stand_in(p->setup->context, a->sockets->number, needed);
}

void worker_tell_log(const struct app_pool *p, const struct app_worker_entry *w)
{
	char *const none[] = {NULL};
	const struct run_order order = {.kind = RUN_ORDER_LOG,
	    .script = "",
	    .environment = (char **)none,
	    .source = -1,
	    .code = -1,
	    .body = -1,
	    .output = p->setup->log->fd};

	if (w->state == APP_SERVES)
		run_order_send(w->process.channel, &order);
}

void worker_resume_all(struct app *a)
{
	char *const none[] = {NULL};
	const struct run_order order = {.kind = RUN_ORDER_RESUME,
	    .script = "",
	    .environment = (char **)none,
	    .source = -1,
	    .code = -1,
	    .body = -1,
	    .output = -1,
	    .force = !a->settings.strict,
	    .accept = a->refused_at};

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next) {
		if (w->state != APP_SERVES || !w->stale)
			continue;
		w->stale = false;
		w->accepted = a->generation;
		run_order_send(w->process.channel, &order);
	}
}
