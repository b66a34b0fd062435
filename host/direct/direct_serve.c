/*
 * One thread serves all connections of this worker: it never waits for one of them, only for all.
 * A request is gathered until it is whole, its body in a file. Then the app answers it, and until
 * it has, the thread does nothing else. The stages are those of the front, without a route, since
 * there is one app, and with the app in the place of a run.
 *
 * Kept-alive connections belong to the worker that accepted them. Where a worker cannot go on with
 * them, because its app has changed or it ends, they go to the others through a socket that all
 * have.
 */
#include "direct/direct_serve.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "direct/direct_answer.h"
#include "direct/direct_incoming.h"
#include "direct/direct_server.h"
#include "direct/direct_setup.h"
#include "ipc/scoreboard.h"
#include "net/access.h"
#include "net/connection.h"
#include "request/access_log.h"
#include "request/cgi_reply.h"
#include "worker/app_loaded.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define ACCEPTS_MAX 8 /* in a row, before the connections that are open */
#define EVENTS_MAX 16
#define FOR_THE_APP 64 /* file descriptors of the worker itself and its app */

static int prepare(struct direct_server *s);
static void serve_events(struct direct_server *s);
static void expire(struct direct_server *s);
static bool make_room(struct direct_server *s, int fd);
static bool make_room_anywhere(struct direct_server *s);
static void become_full(struct direct_server *s, const char *why);
static void retire(struct direct_server *s, const char *why);
static void take_accept_error(struct direct_server *s, const struct listener *l);
static void accept_some(struct direct_server *s, const struct listener *l);
static void take_given(struct direct_server *s);
static bool add_connection(struct direct_server *s, int fd, const struct listener *l);
static void serve(struct direct_server *s, struct connection *c);
static void take_order(struct direct_server *s);
static void answer_ping(struct direct_server *s);
static void close_idle(struct direct_server *s, struct connection *c);
static void give_idle(struct direct_server *s);
static bool has_open(struct direct_server *s);

void direct_serve(struct app_loaded *app, struct direct_setup *setup)
{
	struct direct_server s = {.app = app, .setup = setup, .slot = setup->slot};

	if (prepare(&s) < 0)
		binding_end(app->app.run, EXIT_FAILURE);
	app->app.run->channel->context = &s.answering;
	app->app.run->channel->at_end = direct_answer_end;
	while (!s.ends)
		serve_events(&s);
	direct_server_update(&s);
	give_idle(&s);
	while (!s.broken && has_open(&s))
		serve_events(&s);
	app_leave(app);
}

/* As many as there are file descriptors for: a connection takes one, and its request's body. */
static size_t most_connections(const struct config *config)
{
	size_t most = config->max_connections;
	struct rlimit limit;

	if (most > SCOREBOARD_CONNECTIONS)
		most = SCOREBOARD_CONNECTIONS;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FOR_THE_APP + 2 * most)
		return most;
	return limit.rlim_cur >= FOR_THE_APP + 2 ? (size_t)(limit.rlim_cur - FOR_THE_APP) / 2 : 1;
}

static int prepare(struct direct_server *s)
{
	const struct config *config = &s->setup->config;
	size_t most = most_connections(config);

	s->rules = wire_rules_make(config->max_header, most);
	s->answering = (struct direct_answering){
	    .app = s->app, .setup = s->setup, .memory = -1, .errors = -1, .log = -1};
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->connections = connections_create(most, s->epoll, &s->rules);
	s->incoming = calloc(most, sizeof(*s->incoming));
	s->buffer = malloc(s->rules.max_head);
	if (s->epoll < 0 || s->timer < 0 || s->connections == NULL || s->incoming == NULL ||
	    s->buffer == NULL)
		return -1;
	(void)!getrandom(&s->last_id, sizeof(s->last_id), 0);
	atomic_store(&s->slot->serves, true);
	direct_server_update(s);
	if (direct_server_watch(s, s->app->channel, EPOLLIN, TAG(TAG_CHANNEL, 0)) < 0)
		return -1;
	if (direct_server_watch(s, s->setup->ping, EPOLLIN, TAG(TAG_PING, 0)) < 0)
		return -1;
	return direct_server_watch(s, s->timer, EPOLLIN, TAG(TAG_TIMER, 0));
}

static void serve_events(struct direct_server *s)
{
	struct epoll_event events[EVENTS_MAX];
	/* Waiting there and not in poll(2) for the epoll, a connection wakes one worker only. */
	int n = epoll_wait(s->epoll, events, EVENTS_MAX, app_wait(s->app, s->epoll) ? 0 : -1);

	/* The app has closed the epoll, and perhaps all else. */
	if (n < 0 && errno != EINTR)
		binding_end(s->app->app.run, EXIT_FAILURE);
	for (int i = 0; i < n; i++) {
		uint64_t tag = events[i].data.u64;
		struct connection *c;

		if (tag >> 32 != 0xffffffff) {
			c = connections_claim(s->connections, tag);
			if (c != NULL)
				serve(s, c);
			continue;
		}
		switch (tag >> 16 & 0xffff) {
		case TAG_LISTENER: accept_some(s, &s->setup->listeners[tag & 0xffff]); break;
		case TAG_TAKE: take_given(s); break;
		case TAG_CHANNEL: take_order(s); break;
		case TAG_TIMER: expire(s); break;
		case TAG_PING: answer_ping(s); break;
		}
	}
	if (s->full && make_room_anywhere(s)) {
		s->full = false;
		direct_server_update(s);
	}
	log_flush(&s->setup->log);
}

/* Once a second, as long as anything has a deadline. */
static void expire(struct direct_server *s)
{
	const struct itimerspec second = {.it_value.tv_sec = 1};
	uint64_t ticks;

	(void)!read(s->timer, &ticks, sizeof(ticks));
	s->ticking = connections_expire(s->connections, clock_now());
	s->ticking = late_clients_go_on(&s->cuts) || s->ticking || s->full;
	if (s->ticking)
		timerfd_settime(s->timer, 0, &second, NULL);
}

/* A connection can be taken from this descriptor: a listener, or the socket between the workers. */
static bool is_waiting(const struct direct_server *s, int fd)
{
	struct pollfd event = {.fd = fd, .events = POLLIN};
	unsigned char packet;

	if (fd != s->setup->take)
		return poll(&event, 1, 0) > 0;
	return recv(fd, &packet, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && packet != DIRECT_LOOK;
}

/*
 * Room for another connection. If a connection waits at this descriptor, an idle one is closed if
 * need be. false: there is no room; then clients wait in the queues of the listeners.
 */
static bool make_room(struct direct_server *s, int fd)
{
	struct connection *idle = NULL;

	if (connections_have_room(s->connections))
		return true;
	if (is_waiting(s, fd))
		idle = connections_take_oldest_idle(s->connections, clock_now());
	if (idle != NULL)
		close_idle(s, idle);
	return idle != NULL;
}

static bool make_room_anywhere(struct direct_server *s)
{
	bool room = make_room(s, s->setup->take);

	for (size_t i = 0; i < s->setup->listener_count && !room; i++)
		room = make_room(s, s->setup->listeners[i].fd);
	return room;
}

/* Until there is room, clients wait. */
static void become_full(struct direct_server *s, const char *why)
{
	s->full = true;
	direct_server_update(s);
	direct_server_tick(s);
	log_message(
	    &s->setup->log, LEVEL_WARNING, "%s: %s; more clients wait", s->setup->name, why);
}

/* The worker cannot accept any more; another one can. */
static void retire(struct direct_server *s, const char *why)
{
	log_message(&s->setup->log, LEVEL_WARNING, "%s: %s: the worker %d is replaced",
	    s->setup->name, why, (int)getpid());
	s->ends = true;
	direct_server_update(s);
}

static void take_accept_error(struct direct_server *s, const struct listener *l)
{
	switch (errno) {
	case EMFILE: retire(s, "out of file descriptors"); break;
	case ENFILE:
	case ENOBUFS:
	case ENOMEM: become_full(s, strerror(errno)); break;
	case EINVAL:
	case EBADF:
	case ENOTSOCK:
		/* The master binds it again, and then this worker is replaced. */
		if (listener_is_shut_down(l)) {
			epoll_ctl(s->epoll, EPOLL_CTL_DEL, l->fd, NULL);
			break;
		}
		/* The number may be another file's: it cannot be taken out of the epoll. */
		s->broken = true;
		retire(s, "the app has closed the socket of its worker");
		break;
	default: break; /* an error of the client's (accept(2)), or there is none */
	}
}

/*
 * A listener is shared by all workers, so that each accepts a few connections at a time, and stops
 * at the first that stays open.
 */
static void accept_some(struct direct_server *s, const struct listener *l)
{
	for (int i = 0; i < ACCEPTS_MAX && s->accepting && !s->ends; i++) {
		int fd;

		if (!make_room(s, l->fd)) {
			become_full(s, "--max-connections are open");
			return;
		}
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			take_accept_error(s, l);
		if (fd < 0 || add_connection(s, fd, l))
			return;
	}
}

static void take_given(struct direct_server *s)
{
	int take = s->setup->take, fds[FD_PASS_MAX], spare;
	unsigned char packet;

	if (!s->accepting)
		return;
	if (is_waiting(s, take) && !make_room(s, take)) {
		become_full(s, "--max-connections are open");
		return;
	}
	/* Without a free number the connection would be lost. */
	spare = dup(take);
	if (spare < 0) {
		retire(s, "out of file descriptors");
		return;
	}
	close(spare);
	if (fd_receive(take, &packet, 1, fds, MSG_DONTWAIT) != 1)
		return;
	if (packet == DIRECT_LOOK)
		direct_server_look_again(s);
	else if (fds[0] >= 0)
		add_connection(s, fds[0], &s->setup->listeners[packet]);
}

/* true: it stays open. */
static bool add_connection(struct direct_server *s, int fd, const struct listener *l)
{
	struct connection *c;
	uint32_t generation;
	struct error e = {""};

	if (!access_allows(fd, l, &s->setup->config, &e)) {
		log_message(
		    &s->setup->log, LEVEL_WARNING, "%s: refused: %s", l->address, e.message);
		close(fd);
		return false;
	}
	c = connections_add(s->connections, fd, l);
	/* Another worker has taken the packet for which there was room, and this is the next. */
	if (c == NULL) {
		direct_count_lost(
		    s->setup, !direct_give(s->setup, fd, (unsigned char)(l - s->setup->listeners)));
		close(fd);
		return false;
	}
	c->is_taken = true;
	s->slot->listener[c->index] = (unsigned char)(l - s->setup->listeners);
	generation = c->generation;
	serve(s, c);
	return c->generation == generation;
}

/* Until it has no more to read, or belongs to somebody else. */
static void serve(struct direct_server *s, struct connection *c)
{
	direct_incoming_look(s, c);
	if (scoreboard_claim(s->slot, c->index) == SCOREBOARD_GIVEN) {
		direct_server_forget(s, c);
		return;
	}
	while (direct_incoming_go_on(s, c))
		;
}

static void take_order(struct direct_server *s)
{
	struct run_order order;
	void *memory = NULL;

	if (run_order_receive(s->app->channel, &order, &memory) != 1) {
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->app->channel, NULL);
		s->ends = true;
		return;
	}
	if (order.kind == RUN_ORDER_RESUME) {
		app_accept(s->app, order.accept);
		s->stale = false;
		s->refuses = !order.force;
		direct_server_update(s);
	} else if (order.kind == RUN_ORDER_LOG && order.output >= 0) {
		dup3(order.output, s->setup->log.fd, O_CLOEXEC);
	}
	fd_close(&order.output);
	free(memory);
}

/* Of the guardian. */
static void answer_ping(struct direct_server *s)
{
	eventfd_t ignored;

	(void)!eventfd_read(s->setup->ping, &ignored);
	atomic_fetch_add(&s->slot->pongs, 1);
}

/* Close an idle connection, which the guardian may have given to another worker. */
static void close_idle(struct direct_server *s, struct connection *c)
{
	if (scoreboard_claim(s->slot, c->index) == SCOREBOARD_GIVEN)
		connections_forget(s->connections, c);
	else
		connections_close(s->connections, c);
}

/*
 * Idle connections go to other workers. A connection that has begun to send a request is answered
 * here.
 */
static void give_idle(struct direct_server *s)
{
	struct connection *c;
	size_t lost = 0;

	while ((c = connections_take_idle(s->connections)) != NULL) {
		if (scoreboard_claim(s->slot, c->index) != SCOREBOARD_GIVEN &&
		    !direct_give(s->setup, c->fd, s->slot->listener[c->index]))
			lost++;
		connections_forget(s->connections, c);
	}
	direct_count_lost(s->setup, lost);
}

static bool has_open(struct direct_server *s)
{
	size_t open, parked;

	connections_count(s->connections, &open, &parked);
	return open > 0;
}
