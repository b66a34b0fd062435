#include "pool/pool_worker.h"

#include "base/clock.h"
#include "pool/pool_app.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#define LEAVE_GRACE_NS (5 * CLOCK_SECOND)

int *worker_descriptor(struct app_worker_entry *w, int kind)
{
	return kind == WORKER_CHANNEL  ? &w->process.channel
	       : kind == WORKER_ERRORS ? &w->process.errors
				       : &w->notices;
}

void worker_enter(struct app_worker_entry *w, enum app_state state)
{
	w->state = state;
	w->since = clock_now();
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
	worker_enter(w, APP_LEAVES);
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
