#include "direct/direct_server.h"

#include "direct/direct_setup.h"
#include "ipc/run_channel.h"
#include "ipc/scoreboard.h"
#include "net/connection.h"
#include "worker/app_loaded.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

int direct_server_watch(struct direct_server *s, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = {.events = events, .data.u64 = tag};

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void watch_listeners(struct direct_server *s, bool on)
{
	for (size_t i = 0; i < s->setup->listener_count; i++) {
		int fd = s->setup->listeners[i].fd;

		if (on)
			direct_server_watch(s, fd, EPOLLIN | EPOLLEXCLUSIVE, TAG(TAG_LISTENER, i));
		else
			epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
	}
}

void direct_server_update(struct direct_server *s)
{
	bool on = !s->stale && !s->full && !s->ends;

	if (s->accepting == on)
		return;
	s->accepting = on;
	watch_listeners(s, on);
	if (on) {
		direct_server_watch(s, s->setup->take, EPOLLIN, TAG(TAG_TAKE, 0));
	} else {
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->setup->take, NULL);
		direct_pass_on(s->setup);
	}
}

/* Added again, a listener with waiting clients raises events here until its queue is empty. */
void direct_server_look_again(struct direct_server *s)
{
	watch_listeners(s, false);
	watch_listeners(s, true);
}

/* The front starts a worker that has loaded the new files; until then nothing is begun. */
void direct_server_become_stale(struct direct_server *s)
{
	s->stale = true;
	direct_server_update(s);
	run_report_send(s->app->channel, RUN_STALE, app_files_settle(&s->app->files), "", -1);
}

/* In the slot first: then the descriptor may be another file's. */
void direct_server_close(struct direct_server *s, struct connection *c)
{
	atomic_store(&s->slot->begun[c->index], SCOREBOARD_NONE);
	connections_close(s->connections, c);
}

void direct_server_forget(struct direct_server *s, struct connection *c)
{
	atomic_store(&s->slot->begun[c->index], SCOREBOARD_NONE);
	connections_forget(s->connections, c);
}

void direct_server_tick(struct direct_server *s)
{
	const struct itimerspec second = {.it_value.tv_sec = 1};

	if (!s->ticking)
		timerfd_settime(s->timer, 0, &second, NULL);
	s->ticking = true;
}
