/*
 * A slow client costs a place in a table: the head of its request is gathered in memory, its body
 * in a file, and the thread serves others until more has come. A connection with a half-sent
 * request has a deadline.
 */
#include "direct/direct_incoming.h"

#include "base/clock.h"
#include "base/error.h"
#include "direct/direct_server.h"
#include "direct/direct_setup.h"
#include "ipc/scoreboard.h"
#include "net/connection.h"
#include "request/exchange.h"
#include "request/request.h"
#include "worker/app_loaded.h"

#define REFUSAL_TIMEOUT_NS (3 * CLOCK_SECOND) /* for a client to take an error page */

static bool give_away(struct direct_server *s, struct connection *c);
static bool take_turn(struct direct_server *s, struct connection *c);
static bool serve_request(
    struct direct_server *s, struct connection *c, struct connection_turn *turn);
static void begin(struct direct_server *s, struct connection *c, struct connection_turn *turn);
static bool answer(
    struct direct_server *s, struct incoming *in, int status, const struct error *why);
static bool end_request(struct direct_server *s, struct connection *c, int status, bool keep);

bool direct_incoming_go_on(struct direct_server *s, struct connection *c)
{
	struct connection_turn turn = {.status = 0};

	if (s->incoming[c->index].begun)
		return serve_request(s, c, &turn);
	if (!c->draining && c->taken.size == 0 && give_away(s, c))
		return false;
	return take_turn(s, c);
}

static void close_connection(struct direct_server *s, struct connection *c)
{
	struct incoming *in = &s->incoming[c->index];

	if (in->begun) {
		request_release(&in->request);
		in->begun = false;
	}
	direct_server_close(s, c);
}

void direct_incoming_look(struct direct_server *s, struct connection *c)
{
	if (!s->incoming[c->index].begun)
		s->slot->shown[c->index].request_id = 0;
	atomic_store(&s->slot->begun[c->index], c->fd);
}

/* true: more may be there to read already. */
static bool park(struct direct_server *s, struct connection *c, uint64_t deadline)
{
	bool idle = c->taken.size == 0 && !s->incoming[c->index].begun && !c->draining;

	if (deadline != 0)
		direct_server_tick(s);
	atomic_store(&s->slot->idle[c->index], idle ? c->fd : SCOREBOARD_NONE);
	if (idle || c->draining)
		atomic_store(&s->slot->begun[c->index], SCOREBOARD_NONE);
	return !connections_park(s->connections, c, deadline);
}

/* A counter that starts at a random number, mixed so that ids look random (splitmix64). */
static uint64_t next_id(struct direct_server *s)
{
	uint64_t n = s->last_id += 0x9e3779b97f4a7c15;

	n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
	n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
	return n ^ (n >> 31);
}

/* If this worker begins no more requests, give the connection to another. true: it is given. */
static bool give_away(struct direct_server *s, struct connection *c)
{
	if (!s->stale && app_files_changed(&s->app->files))
		direct_server_become_stale(s);
	if ((!s->stale && !s->ends) || !direct_give(s->setup, c->fd, s->slot->listener[c->index]))
		return false;
	direct_server_forget(s, c);
	return true;
}

/* The turn of a connection without a request. Returns as direct_incoming_go_on. */
static bool take_turn(struct direct_server *s, struct connection *c)
{
	struct connection_turn turn;

	switch (connection_take_turn(c, s->buffer, &s->setup->log, &turn)) {
	case CONNECTION_REQUEST: return serve_request(s, c, &turn);
	case CONNECTION_PARK: return park(s, c, turn.deadline);
	case CONNECTION_CLOSE: break;
	}
	close_connection(s, c);
	return false;
}

/* Read the request as far as it is there, and answer it. Returns as direct_incoming_go_on. */
static bool serve_request(
    struct direct_server *s, struct connection *c, struct connection_turn *turn)
{
	struct incoming *in = &s->incoming[c->index];
	bool keep = c->check.keep_conn && !s->ends;
	int status;

	s->answering.place = c->index;
	s->answering.keeps = keep;
	if (!in->begun)
		begin(s, c, turn);
	status = incoming_read(in, c, s->buffer, s->rules.max_head, turn);
	if (status == REQUEST_MORE) {
		direct_answer_show(s->setup, &in->request, c->index);
		return park(s, c, turn->deadline);
	}
	/* The request had begun before; connections without one were given to other workers. */
	if (status == 0 && s->app->spent) {
		error_set(&turn->why, "an earlier run left something behind in the process");
		status = 503;
	}
	keep = incoming_is_answered(in, c, &s->setup->log, status, &turn->why) &&
	       answer(s, in, status, &turn->why) && keep;
	return end_request(s, c, status, keep);
}

static void begin(struct direct_server *s, struct connection *c, struct connection_turn *turn)
{
	struct incoming *in = &s->incoming[c->index];

	in->config = &s->setup->config;
	request_init_numbered(&in->request, next_id(s));
	in->request.response.request_id = c->check.request_id;
	direct_answer_show(s->setup, &in->request, c->index);
	if (turn->status == 0 && s->refuses) {
		error_set(&turn->why, "the changed app does not load");
		turn->status = 500;
	}
}

/* Answer without the app. The one thread waits for the client, so only for a short time. */
static void end_early(struct exchange *x, int status, const char *why)
{
	x->request->response.deadline = clock_now() + REFUSAL_TIMEOUT_NS;
	exchange_end_early(x, status, why);
	exchange_log(x);
}

/* true: the connection can be used again. */
static bool answer(
    struct direct_server *s, struct incoming *in, int status, const struct error *why)
{
	struct exchange x;

	exchange_init(&x, &in->request, in->config, &s->setup->log);
	if (status > 0) {
		end_early(&x, status, why->message);
	} else {
		direct_answer_request(&s->answering, &x);
		s->ends = s->ends || s->answering.retires;
	}
	return exchange_release(&x);
}

/* Part of the reply has left: the connection is closed for the app now, for the client later. */
static void cut_later(struct direct_server *s, struct connection *c, struct incoming *in)
{
	late_clients_add(&s->cuts, &in->request.response);
	direct_server_tick(s);
	request_release(&in->request);
	in->begun = false;
	direct_server_forget(s, c);
}

/* After the answer. Returns as direct_incoming_go_on. */
static bool end_request(struct direct_server *s, struct connection *c, int status, bool keep)
{
	struct incoming *in = &s->incoming[c->index];

	if (in->request.response.late) {
		cut_later(s, c, in);
		return false;
	}
	if (!incoming_end(in, c, status, keep)) {
		direct_server_close(s, c);
		return false;
	}
	c->is_taken = true;
	direct_incoming_look(s, c);
	/* Other connections come first: an event tells when there is more to read. */
	return c->draining || c->taken.size > 0 || park(s, c, 0);
}
