/*
 * State of a direct worker's one thread: direct_serve.c handles its events, direct_incoming.c
 * turns bytes into requests.
 */
#ifndef EXTHOST_DIRECT_SERVER_H
#define EXTHOST_DIRECT_SERVER_H

#include "direct/direct_answer.h"
#include "direct/late_clients.h"
#include "net/wire_check.h"
#include "request/incoming.h"

struct direct_setup;
struct connection;
struct connections;

struct direct_server {
	struct app_loaded *app;
	struct direct_setup *setup;
	struct scoreboard_slot *slot;
	struct direct_answering answering;
	struct wire_rules rules;
	struct connections *connections;
	struct incoming *incoming; /* requests that are not whole yet, by a connection's index */
	struct late_clients cuts;
	unsigned char *buffer; /* rules.max_head bytes */
	int epoll, timer;
	uint64_t last_id; /* id of the last request, before mixing */
	bool accepting, ticking;
	bool stale;   /* the app has changed: begin no more requests */
	bool refuses; /* the changed app does not load, and the old one must not serve */
	bool full;    /* there is no room for another connection */
	bool ends;
	bool broken; /* the app has closed descriptors of the worker: it ends at once */
};

/* Tags of events that belong to no connection; a connection's generation stays below them. */
enum { TAG_LISTENER = 1, TAG_TAKE, TAG_CHANNEL, TAG_TIMER, TAG_PING };
#define TAG(what, index) (0xffffffff00000000 | (uint64_t)(what) << 16 | (uint64_t)(index))

/* Add the descriptor to the epoll. 0, or -1 with errno. */
int direct_server_watch(struct direct_server *s, int fd, uint32_t events, uint64_t tag);

/*
 * Watch the listeners and the connections that other workers give, or do not, as `stale`, `full`
 * and `ends` say. To be called after a change of them.
 */
void direct_server_update(struct direct_server *s);

/* Look at the listeners again: an event of theirs went to another worker. */
void direct_server_look_again(struct direct_server *s);

/*
 * The app's files have changed: report it to the front, and begin no request until it has
 * answered.
 */
void direct_server_become_stale(struct direct_server *s);

/* Close the connection; as connections_close and connections_forget, and in the slot, too. */
void direct_server_close(struct direct_server *s, struct connection *c);
void direct_server_forget(struct direct_server *s, struct connection *c);

/* Check deadlines each second from now on, until nothing has one. */
void direct_server_tick(struct direct_server *s);

#endif
