/*
 * The state of a direct worker's one thread: direct_serve.c has the events, direct_incoming.c makes
 * requests of bytes.
 */
#ifndef EXTHOST_DIRECT_SERVER_H
#define EXTHOST_DIRECT_SERVER_H

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

/* Tags of events that are no connection's; a connection's generation never comes so far. */
enum { TAG_LISTENER = 1, TAG_TAKE, TAG_CHANNEL, TAG_TIMER };
#define TAG(what, index) (0xffffffff00000000 | (uint64_t)(what) << 16 | (uint64_t)(index))

/* Have epoll tell of this descriptor. 0, or -1 with errno. */
int direct_server_watch(struct direct_server *s, int fd, uint32_t events, uint64_t tag);

/* Whether the worker accepts connections and takes those that other workers give. */
void direct_server_set_accepting(struct direct_server *s, bool on);

/* The app's files have changed: the front is told, and no request is begun until it has answered. */
void direct_server_become_stale(struct direct_server *s);

/* Look at deadlines each second from now on, as long as anything has one. */
void direct_server_tick(struct direct_server *s);

#endif
