/*
 * Whoever sends slowly costs a place in a table: the head of a request is gathered in memory, its body
 * in a file, and the thread turns to others meanwhile. A connection with a request half sent has a
 * deadline.
 */
#include "direct/direct_incoming.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "direct/direct_server.h"
#include "direct/direct_setup.h"
#include "ipc/scoreboard.h"
#include "net/connection.h"
#include "request/exchange.h"
#include "request/request.h"
#include "worker/app_loaded.h"

#include <sys/timerfd.h>

#define REFUSAL_PATIENCE (3 * CLOCK_SECOND) /* for a client that is to take the page of a refusal */

static bool look(struct direct_server *s, struct connection *c);
static bool take_body(struct direct_server *s, struct connection *c);
static bool drain(struct direct_server *s, struct connection *c);
static bool finish(
    struct direct_server *s, struct connection *c, int status, const struct error *e);
static void log_close(
    const struct direct_server *s, const struct connection *c, const struct error *e);

bool direct_incoming_go_on(struct direct_server *s, struct connection *c)
{
	if (c->draining)
		return drain(s, c);
	return s->incoming[c->index].begun ? take_body(s, c) : look(s, c);
}

static void close_connection(struct direct_server *s, struct connection *c)
{
	struct direct_incoming *in = &s->incoming[c->index];

	if (in->begun) {
		request_release(&in->request);
		in->begun = false;
	}
	connections_close(s->connections, c);
}

/* true: there may be more to read, at once. */
static bool park(struct direct_server *s, struct connection *c, uint64_t deadline)
{
	bool idle = c->taken.size == 0 && !s->incoming[c->index].begun && !c->draining;

	if (deadline != 0)
		direct_server_tick(s);
	atomic_store(&s->slot->idle[c->index], idle ? c->fd : SCOREBOARD_NONE);
	return !connections_park(s->connections, c, deadline);
}

/* Numbers in a row from a random one on, mixed so that they look like those of others (splitmix64). */
static uint64_t next_id(struct direct_server *s)
{
	uint64_t n = s->last_id += 0x9e3779b97f4a7c15;

	n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
	n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
	return n ^ (n >> 31);
}

/* The head of a request. As direct_incoming_go_on. */
static bool look(struct direct_server *s, struct connection *c)
{
	struct direct_incoming *in = &s->incoming[c->index];
	bool refused = false;
	struct error e = {""};
	int status;

	if (c->taken.size == 0 && !s->stale && app_files_changed(&s->app->files))
		direct_server_become_stale(s);
	if (c->taken.size == 0 && (s->stale || s->ends) &&
	    direct_give(s->setup, c->fd, s->slot->listener[c->index])) {
		connections_forget(s->connections, c);
		return false;
	}
	switch (connection_look(c, s->buffer, &status, &e)) {
	case LOOK_WAIT: return park(s, c, connection_deadline(c, clock_now()));
	case LOOK_CLOSE:
		log_close(s, c, &e);
		close_connection(s, c);
		return false;
	case LOOK_REFUSE: refused = true; break;
	case LOOK_READY: break;
	}
	request_init_numbered(&in->request, next_id(s));
	in->begun = true;
	in->request.trust_fossil = in->request.relay = in->request.hold = c->listener->trust_fossil;
	in->request.response.fd = c->fd;
	in->request.response.fastcgi = true;
	in->request.response.request_id = c->check.request_id;
	if (refused)
		return finish(s, c, status, &e);
	if (s->refuses) {
		error_set(&e, "the changed app does not load");
		return finish(s, c, 500, &e);
	}
	status = request_taken_begin(
	    &in->request, &in->taken, &c->taken, &c->check, &s->setup->config, &e);
	return status == REQUEST_MORE ? take_body(s, c) : finish(s, c, status, &e);
}

/* As much of the body as has come. As direct_incoming_go_on. */
static bool take_body(struct direct_server *s, struct connection *c)
{
	struct direct_incoming *in = &s->incoming[c->index];
	struct error e = {""};
	int status = request_taken_read(
	    &in->request, &in->taken, &c->taken, s->buffer, s->rules.max_head, &e);

	if (status == REQUEST_MORE)
		return park(
		    s, c, request_body_due(&in->request, &in->taken.body, &s->setup->config));
	return finish(s, c, status, &e);
}

/* What comes behind a refusal. As direct_incoming_go_on. */
static bool drain(struct direct_server *s, struct connection *c)
{
	uint64_t until = connection_drain(c, s->buffer, clock_now());

	if (until != 0)
		return park(s, c, until);
	close_connection(s, c);
	return false;
}

static void log_close(
    const struct direct_server *s, const struct connection *c, const struct error *e)
{
	if (e->message[0] != '\0')
		log_message(&s->setup->log, LEVEL_WARNING, "%s: connection closed: %s",
		    c->listener->address, e->message);
}

/* A part of the reply is in the connection, which closes now for the app and later for the client. */
static void cut_later(struct direct_server *s, struct response *r)
{
	late_clients_add(&s->cuts, r);
	direct_server_tick(s);
}

static void refuse(struct connection *c, struct exchange *x, int status, const char *why)
{
	x->request->response.deadline = clock_now() + REFUSAL_PATIENCE;
	exchange_refuse(x, status, "%s", why);
	exchange_log(x);
	connection_leave(c, clock_now());
}

/* The stages of a request that is whole, or will never be. true: its connection can be used again. */
static bool answer(
    struct direct_server *s, struct connection *c, struct request *r, int status, const char *why)
{
	struct exchange x;

	exchange_init(&x, r, &s->setup->config, &s->setup->log);
	if (status == REQUEST_ABORTED) {
		exchange_abort(&x, why);
		exchange_log(&x);
	} else if (status > 0) {
		refuse(c, &x, status, why);
	} else if (s->app->spent) {
		/* It had begun to come before; those that had not were given to other workers. */
		refuse(c, &x, 503, "an earlier run left something behind in the process");
	} else {
		direct_answer_request(&s->answering, &x);
		s->ends = s->ends || s->answering.retires;
	}
	return exchange_release(&x);
}

/* The request is whole, or will never be. As direct_incoming_go_on. */
static bool finish(struct direct_server *s, struct connection *c, int status, const struct error *e)
{
	struct direct_incoming *in = &s->incoming[c->index];
	struct request *r = &in->request;
	bool keep = c->check.keep_conn && !s->ends;
	bool late;

	r->followed = c->taken.size > 0;
	if (status < 0) {
		log_close(s, c, e);
		keep = false;
	} else {
		keep = answer(s, c, r, status, e->message) && keep;
	}
	late = r->response.late;
	if (late)
		cut_later(s, &r->response);
	if (!keep && !c->draining && r->unended && !r->response.failed)
		connection_leave(c, clock_now());
	request_release(r);
	in->begun = false;
	if (c->draining && !late)
		return true;
	if (!keep || late) {
		(late ? connections_forget : connections_close)(s->connections, c);
		return false;
	}
	connection_next(c);
	c->is_taken = true;
	/* The others first: more will be told by an event. */
	return c->taken.size > 0 || park(s, c, 0);
}
