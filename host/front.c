/*
 * Threads share one epoll, in which are the listeners and every parked connection. A thread takes
 * one event, and what follows is its own affair until the connection is parked again or closed:
 * serve_connection below is the way of a request down the page.
 *
 * There are as many threads as there is work, up to --max-connections: whoever goes to serve while
 * no other thread waits starts one more. They are cheap guards; the work is done in request
 * processes.
 */
#include "front.h"

#include "accepting.h"
#include "access.h"
#include "config.h"
#include "config_share.h"
#include "connection.h"
#include "error.h"
#include "listen.h"
#include "log.h"
#include "request.h"
#include "spares.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_DEADLINE 10  /* seconds for the head of a request, once it has begun */
#define CLIENT_TIMEOUT 60 /* seconds in which a client takes or sends something */
#define THREAD_STACK 1048576
#define SECOND 1000000000ULL

static void *thread_main(void *argument);
static void accept_connection(struct front *f, size_t listener, unsigned char *buffer);
static int accept_one(struct front *f, const struct listener *l);
static bool is_allowed(struct front *f, const struct listener *l, int fd, struct error *e);
static void serve_connection(struct front *f, struct connection *c, unsigned char *buffer);
static void close_connection(struct front *f, struct connection *c);
static bool serve_request(
    struct front *f, struct connection *c, unsigned char *buffer, int *language);
static void replace_spare(struct front *f, int language);
static void refuse_request(struct front *f, struct connection *c, int status, const char *reason);
static void log_ignored(const struct front *f, const struct connection *c);
static void log_close(const struct front *f, const struct connection *c, const struct error *e);

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
	const struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT};
	const struct listener *l = accepting_listener(f->accepting, listener);
	struct connection *c;
	struct error e;
	int fd = accept_one(f, l);

	accepting_next(f->accepting, listener);
	if (fd < 0)
		return;
	if (!is_allowed(f, l, fd, &e)) {
		log_message(f->setup->log, LEVEL_WARNING, "%s: refused: %s", l->address, e.message);
		close(fd);
		accepting_give_back(f->accepting);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (l->control) {
		status_serve(&f->status, fd);
		close(fd);
		accepting_give_back(f->accepting);
		return;
	}
	c = connections_add(f->connections, fd, l);
	if (c == NULL) {
		log_message(f->setup->log, LEVEL_WARNING, "%s: refused: --max-connections are open",
		    l->address);
		close(fd);
		accepting_give_back(f->accepting);
		return;
	}
	serve_connection(f, c, buffer);
}

/* A client, for whom a place is taken. -1: there is none, or no place. */
static int accept_one(struct front *f, const struct listener *l)
{
	int fd;

	/* Of an app that does not load: perhaps it does by now. */
	if (l->app != 0 && app_pool_try_again(f->shared.run.apps, l->app))
		return -1;
	if (!accepting_take(f->accepting))
		return -1;
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			accepting_pause(f->accepting);
		else
			accepting_give_back(f->accepting);
	}
	return fd;
}

/* At the control socket there is nobody but the host's own user and root. */
static bool is_allowed(struct front *f, const struct listener *l, int fd, struct error *e)
{
	static const struct config nobody_else;
	const struct config *config;
	struct config_held *held = config_hold(f->configs, &config);
	bool allowed =
	    access_allows(fd, l->kind == LISTENER_TCP, l->control ? &nobody_else : config, e);

	config_let_go(f->configs, held);
	return allowed;
}

static void serve_connection(struct front *f, struct connection *c, unsigned char *buffer)
{
	struct error e;
	int status, language;
	bool keep;

	for (;;) {
		switch (connection_look(c, buffer, &status, &e)) {
		case LOOK_READY:
			log_ignored(f, c);
			keep = serve_request(f, c, buffer, &language);
			if (keep)
				connection_next(c);
			else
				close_connection(f, c);
			replace_spare(f, language);
			if (!keep)
				return;
			break;
		case LOOK_WAIT:
			if (connections_park(f->connections, c,
				connection_deadline(c, request_clock(), HEAD_DEADLINE * SECOND)))
				return;
			break;
		case LOOK_REFUSE:
			refuse_request(f, c, status, e.message);
			connection_drain(c, buffer);
			close_connection(f, c);
			return;
		case LOOK_CLOSE:
			log_close(f, c, &e);
			close_connection(f, c);
			return;
		}
	}
}

static void close_connection(struct front *f, struct connection *c)
{
	connections_close(f->connections, c);
	accepting_give_back(f->accepting);
}

static void begin_request(struct request *r, const struct connection *c)
{
	request_init(r);
	r->trust_fossil = r->relay = r->hold = c->listener->trust_fossil;
	r->response.fd = c->fd;
	r->response.fastcgi = true;
	r->response.request_id = c->check.request_id;
}

/* After all else, since a socket that is on its way makes each close of another dear: template.h. */
static void replace_spare(struct front *f, int language)
{
	if (language >= 0)
		spares_replace(f->shared.run.spares, language);
}

/* true: the connection goes on with another request. *language: as in the request. */
static bool serve_request(
    struct front *f, struct connection *c, unsigned char *buffer, int *language)
{
	struct request r;
	struct error e;
	struct answer_shared shared = f->shared;
	struct config_held *held = config_hold(f->configs, &shared.config);
	bool keep = c->check.keep_conn && !atomic_load(&f->stopping);
	int status;

	begin_request(&r, c);
	status = c->is_taken ? request_read_taken(&r, &c->taken, &c->check, shared.config, &e)
			     : request_read(&r, c->fd, shared.config, &e);
	if (status == 0 && c->listener->app != 0) {
		answer_refusal(&shared, &r, 500, "the app does not load");
		keep = false;
	} else if (status == 0) {
		keep = answer_request(&shared, &r, c->listener->prefix) && keep;
	} else if (status == REQUEST_ABORTED) {
		answer_aborted(&shared, &r, e.message);
	} else {
		keep = false;
		if (status > 0) {
			answer_refusal(&shared, &r, status, e.message);
			connection_drain(c, buffer);
		} else {
			log_close(f, c, &e);
		}
	}
	*language = r.language;
	request_release(&r);
	config_let_go(f->configs, held);
	return keep;
}

static void refuse_request(struct front *f, struct connection *c, int status, const char *reason)
{
	struct request r;
	struct answer_shared shared = f->shared;
	struct config_held *held = config_hold(f->configs, &shared.config);

	begin_request(&r, c);
	answer_refusal(&shared, &r, status, reason);
	request_release(&r);
	config_let_go(f->configs, held);
}

/* Records of types that FastCGI does not know, within a request: they may be ignored (3.3). */
static void log_ignored(const struct front *f, const struct connection *c)
{
	if (c->check.ignored > 0)
		log_message(f->setup->log, LEVEL_DEBUG, "%s: %u records of unknown type ignored",
		    c->listener->address, c->check.ignored);
}

static void log_close(const struct front *f, const struct connection *c, const struct error *e)
{
	if (e->message[0] != '\0')
		log_message(f->setup->log, LEVEL_WARNING, "%s: connection closed: %s",
		    c->listener->address, e->message);
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
