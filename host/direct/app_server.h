/*
 * The one thread of a worker that serves sockets of its own: between direct_serve.c, which has the
 * events, and app_incoming.c, which makes requests of bytes.
 */
#ifndef EXTHOST_APP_SERVER_H
#define EXTHOST_APP_SERVER_H

#include "direct/direct_answer.h"
#include "direct/late_clients.h"
#include "net/wire_check.h"
#include "request/request.h"

struct direct_setup;
struct connection;
struct connections;

/* A request that is not whole yet, by its connection's index. */
struct direct_incoming {
	bool begun;
	struct request request;
	struct request_taken taken;
};

struct direct_server {
	struct app_loaded *app;
	struct direct_setup *setup;
	struct scoreboard_slot *slot;
	struct direct_answering answering;
	struct wire_rules rules;
	struct connections *connections;
	struct direct_incoming *incoming;
	struct late_clients cuts;
	unsigned char *buffer; /* rules.max_head bytes */
	int epoll, timer;
	uint64_t last_id; /* of a request, before it is mixed */
	bool accepting, ticking;
	bool stale;   /* the app has changed: no request is begun any more */
	bool refuses; /* the changed app does not load, and nothing else is to be served */
	bool ends;
};

/* The app's files have changed: the front is told, and no request is begun until it has answered. */
void direct_server_become_stale(struct direct_server *s);

#endif
