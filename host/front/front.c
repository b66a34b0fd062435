/*
 * Threads share one epoll with the listeners and all parked connections. A thread takes one event
 * and serves its connection until that is parked again or closed: take_turn and serve_request
 * below are the way of a request, down the page. No thread waits for bytes of a client: a request
 * whose body still comes is kept with its connection.
 *
 * There are as many threads as there is work, up to --max-connections: a thread that begins to
 * serve while no other waits starts one more. They are cheap guards; request processes do the
 * work.
 */
#include "front/front.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "config/config_share.h"
#include "front/admission.h"
#include "net/access.h"
#include "net/connection.h"
#include "net/listen.h"
#include "request/exchange.h"
#include "request/incoming.h"
#include "run/spares.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_TIMEOUT_S 60 /* SO_RCVTIMEO and SO_SNDTIMEO */
#define THREAD_STACK 1048576

/* A request, from its head to its answer. While its body comes, no thread holds it. */
struct front_request {
	struct incoming in;
	struct config_held *held;
};

/* What becomes of a connection. */
enum next { NEXT_GO_ON, NEXT_PARK, NEXT_CLOSE };

struct turn {
	struct connection_turn connection;
	int language; /* language of the request process that was taken; -1: none */
};

static void *thread_main(void *argument);
static void accept_connection(struct front *f, size_t listener, unsigned char *buffer);
static int accept_one(struct front *f, const struct listener *l);
static bool is_allowed(struct front *f, const struct listener *l, int fd, struct error *e);
static void serve_connection(struct front *f, struct connection *c, unsigned char *buffer);
static enum next take_turn(
    struct front *f, struct connection *c, unsigned char *buffer, struct turn *turn);
static void close_connection(struct front *f, struct connection *c);
static enum next serve_request(
    struct front *f, struct connection *c, unsigned char *buffer, struct turn *turn);
static void begin_request(struct front *f, struct front_request *q);
static int keep_request(struct front *f, struct connection *c, struct front_request *q);
static bool answer(struct front *f, const struct connection *c, struct incoming *in, int status,
    const struct error *why);
static void end_request(struct front *f, struct connection *c, struct front_request *q);
static void replace_spare(struct front *f, int language);

static void *thread_main(void *argument)
{
	struct front *f = argument;
	unsigned char *buffer = malloc(f->rules.max_head);

	while (buffer != NULL) {
		struct epoll_event event;
		struct connection *c;
		int n;

		atomic_fetch_add(&f->waiting, 1);
		n = epoll_wait(f->epoll, &event, 1, -1);
		if (atomic_fetch_sub(&f->waiting, 1) == 1)
			front_start_thread(f);
		if (n < 1)
			continue;
		if (event.data.u64 >= LISTENER_TAG) {
			accept_connection(f, event.data.u64 & 0xffff, buffer);
			continue;
		}
		c = connections_claim(f->connections, event.data.u64);
		if (c != NULL)
			serve_connection(f, c, buffer);
	}
	return NULL;
}

static void accept_connection(struct front *f, size_t listener, unsigned char *buffer)
{
	const struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_S};
	const struct listener *l = admission_listener(f->accepting, listener);
	struct connection *c;
	struct error e = {""};
	int fd = accept_one(f, l);

	admission_next(f->accepting, listener, fd >= 0);
	if (fd < 0)
		return;
	if (!is_allowed(f, l, fd, &e)) {
		log_message(f->setup->log, LEVEL_WARNING, "%s: refused: %s", l->address, e.message);
		close(fd);
		admission_give_back(f->accepting);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	c = connections_add(f->connections, fd, l);
	if (c == NULL) {
		log_message(f->setup->log, LEVEL_WARNING, "%s: refused: --max-connections are open",
		    l->address);
		close(fd);
		admission_give_back(f->accepting);
		return;
	}
	serve_connection(f, c, buffer);
}

/* Accept a client and take a place for it. -1: there is no client, or no place. */
static int accept_one(struct front *f, const struct listener *l)
{
	int fd;

	/* The app did not load: perhaps it does now. */
	if (l->app != 0 && app_pool_try_again(f->shared.run.apps, l->app))
		return -1;
	if (!admission_take(f->accepting)) {
		connections_make_room(f->connections, clock_now());
		return -1;
	}
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			admission_pause(f->accepting);
		else
			admission_give_back(f->accepting);
	}
	return fd;
}

static bool is_allowed(struct front *f, const struct listener *l, int fd, struct error *e)
{
	const struct config *config;
	struct config_held *held = config_hold(f->configs, &config);
	bool allowed = access_allows(fd, l, config, e);

	config_let_go(f->configs, held);
	return allowed;
}

static void serve_connection(struct front *f, struct connection *c, unsigned char *buffer)
{
	enum next next = NEXT_GO_ON;

	while (next != NEXT_CLOSE) {
		struct turn turn = {.language = -1};

		next = take_turn(f, c, buffer, &turn);
		if (next == NEXT_PARK &&
		    connections_park(f->connections, c, turn.connection.deadline))
			return;
		if (next == NEXT_CLOSE)
			close_connection(f, c);
		replace_spare(f, turn.language);
	}
}

static enum next take_turn(
    struct front *f, struct connection *c, unsigned char *buffer, struct turn *turn)
{
	if (f->begun[c->index] != NULL)
		return serve_request(f, c, buffer, turn);
	switch (connection_take_turn(c, buffer, f->setup->log, &turn->connection)) {
	case CONNECTION_REQUEST: return serve_request(f, c, buffer, turn);
	case CONNECTION_PARK: return NEXT_PARK;
	case CONNECTION_CLOSE: break;
	}
	return NEXT_CLOSE;
}

static void close_connection(struct front *f, struct connection *c)
{
	connections_close(f->connections, c);
	admission_give_back(f->accepting);
}

/* Last, because a descriptor in flight slows every close() of a unix socket: template.h. */
static void replace_spare(struct front *f, int language)
{
	if (language >= 0)
		spares_replace(f->shared.run.spares, language);
}

/*
 * Read the request as far as it is there, and answer it once it is whole, or refuse it with
 * turn->connection.status.
 */
static enum next serve_request(
    struct front *f, struct connection *c, unsigned char *buffer, struct turn *turn)
{
	struct front_request fresh, *q = f->begun[c->index];
	struct error *why = &turn->connection.why;
	bool keep = false;
	int status;

	if (q == NULL) {
		q = &fresh;
		begin_request(f, q);
	}
	status = incoming_read(&q->in, c, buffer, f->rules.max_head, &turn->connection);
	if (status == REQUEST_MORE && (q != &fresh || keep_request(f, c, q) == 0))
		return NEXT_PARK;
	if (status == REQUEST_MORE) {
		error_errno(why, "request");
		status = 500;
	}
	if (incoming_is_answered(&q->in, c, f->setup->log, status, why))
		keep = answer(f, c, &q->in, status, why);
	turn->language = q->in.request.language;
	keep = incoming_end(&q->in, c, status, keep);
	end_request(f, c, q);
	return keep ? NEXT_GO_ON : NEXT_CLOSE;
}

static void begin_request(struct front *f, struct front_request *q)
{
	request_init(&q->in.request);
	q->in.begun = false;
	q->held = config_hold(f->configs, &q->in.config);
}

/* Keep it until more of its body comes, for any thread. 0 or -1 with errno. */
static int keep_request(struct front *f, struct connection *c, struct front_request *q)
{
	struct front_request *kept = malloc(sizeof(*kept));

	if (kept == NULL)
		return -1;
	*kept = *q;
	c->has_begun = true;
	f->begun[c->index] = kept;
	return 0;
}

/* true: the connection can be used again. */
static bool answer(struct front *f, const struct connection *c, struct incoming *in, int status,
    const struct error *why)
{
	bool keep = c->check.keep_conn && !atomic_load(&f->stopping) && c->listener->app == 0;
	struct exchange x;

	exchange_init(&x, &in->request, in->config, f->setup->log);
	if (status > 0)
		exchange_end_early(&x, status, why->message);
	else if (c->listener->app != 0)
		exchange_refuse(&x, 500, "the app does not load");
	else
		answer_request(&f->shared, &x, c->listener->prefix);
	return answer_end(&f->shared, &x) && keep;
}

static void end_request(struct front *f, struct connection *c, struct front_request *q)
{
	config_let_go(f->configs, q->held);
	if (q == f->begun[c->index]) {
		f->begun[c->index] = NULL;
		c->has_begun = false;
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is in `begun` is allocated. */
		free(q);
	}
}

void front_start_thread(struct front *f)
{
	pthread_attr_t attributes;
	pthread_t thread;

	if (atomic_fetch_add(&f->threads, 1) >= f->setup->config->max_connections) {
		atomic_fetch_sub(&f->threads, 1);
		return;
	}
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	if (pthread_create(&thread, &attributes, thread_main, f) != 0)
		atomic_fetch_sub(&f->threads, 1);
	pthread_attr_destroy(&attributes);
}
