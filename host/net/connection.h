/*
 * The connections of the front: a table of as many places as there may be connections. A connection
 * belongs to the one thread that serves it, or to nobody: then it is parked and the shared epoll
 * watches it. Half-sent requests cost a place and a deadline, never a thread.
 */
#ifndef EXTHOST_CONNECTION_H
#define EXTHOST_CONNECTION_H

#include "base/buffer.h"
#include "base/error.h"
#include "net/wire_check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connections;
struct listener;
struct log;

struct connection {
	int fd;
	const struct listener *listener;
	struct wire_check check;
	/*
	 * Bytes taken off the socket, when a head does not come whole or is none that libfcgi reads
	 * rightly: then it is decoded from here (request_taken_read), and what is behind it stays.
	 */
	struct buffer taken;
	bool is_taken;
	size_t judged; /* so many of the bytes taken were not enough for the check */
	bool draining; /* answered for the last time: what the client still sends is forgotten */
	size_t drained;
	uint64_t drain_end; /* clock_now() until which that goes on at most */
	/* the table's */
	uint32_t index, generation;
	int state;
	bool watched;
	uint64_t deadline; /* clock_now() when its owner wants to look again; 0: never */
};

/* NULL: no memory. epoll is the shared one. */
struct connections *connections_create(size_t most, int epoll, const struct wire_rules *rules);

/* Take up an accepted descriptor, as the caller's own. NULL: the table is full. */
struct connection *connections_add(struct connections *t, int fd, const struct listener *l);

/*
 * An event came with this tag: take the connection as the caller's own. NULL: another thread has
 * it, and will look again before it parks it.
 */
struct connection *connections_claim(struct connections *t, uint64_t tag);

/*
 * Leave the connection to the epoll. An event comes at the deadline, too (0: none). false: bytes came
 * meanwhile, it is still the caller's and must be looked at again.
 */
bool connections_park(struct connections *t, struct connection *c, uint64_t deadline);

/* Close it and free its place. */
void connections_close(struct connections *t, struct connection *c);

/*
 * The same for one whose other end lives on in another process: the epoll would watch it for as long as
 * that.
 */
void connections_forget(struct connections *t, struct connection *c);

/*
 * Have an event come for whatever is parked beyond its deadline: a thread of the caller's then judges
 * what becomes of it, and can still answer. true: something has a deadline.
 */
bool connections_expire(struct connections *t, uint64_t now);

/* The same, and shut down all that is parked and has no request: the host stops. */
void connections_expire_idle(struct connections *t, uint64_t now);

/* One that is parked and has begun no request, as the caller's own. NULL: there is none. */
struct connection *connections_take_idle(struct connections *t);

/* How many are open; how many of them are parked. */
void connections_count(struct connections *t, size_t *open, size_t *parked);

enum connection_look {
	LOOK_READY, /* a whole head is there */
	LOOK_WAIT,  /* not yet */
	LOOK_CLOSE, /* the client is gone or talks nonsense; *e says what, "" for a plain end */
	LOOK_REFUSE /* answer *status, with the reason in *e, and close */
};

/*
 * Look at the bytes at the head of the connection, into a buffer of rules->max_head bytes: without
 * taking them if a whole request is there, else they are taken into c->taken. What needs no request
 * (FCGI_GET_VALUES, unknown types, unknown roles) is answered here.
 */
enum connection_look connection_look(
    struct connection *c, unsigned char *buffer, int *status, struct error *e);

/*
 * Until when a connection may be parked without a whole head: for ever, unless a head has begun; then for
 * CONNECTION_HEAD seconds.
 */
uint64_t connection_deadline(const struct connection *c, uint64_t now);

#define CONNECTION_HEAD 10

/*
 * The connection was answered and cannot be used again, but its client may still send: end the sending side.
 * What comes is to be drained, so that the client reads the answer and not a reset. After a refusal, and
 * where a body was whole before the end of its stream.
 */
void connection_leave(struct connection *c, uint64_t now);

/*
 * Forget what has come on a refused connection. 0: close it now; else park it until then. Bounded in
 * bytes and in time.
 */
uint64_t connection_drain(struct connection *c, unsigned char *buffer, uint64_t now);

/* After the request was served: the next head begins. */
void connection_next(struct connection *c);

/* What follows from the bytes that are there. */
enum connection_step {
	CONNECTION_REQUEST, /* a request: begin it, or refuse it with `status` for the reason `why` */
	CONNECTION_PARK,    /* nothing yet: park it until `deadline` */
	CONNECTION_CLOSE    /* close it, which is logged where it has a reason */
};

struct connection_turn {
	int status;        /* 0: the request is not refused */
	struct error why;  /* of the refusal; "" for none */
	uint64_t deadline; /* clock_now(); 0: none */
};

/*
 * The turn of a connection with no request begun: drain it after its last answer, or look at its head.
 * The buffer is as for connection_look.
 */
enum connection_step connection_take_turn(struct connection *c, unsigned char *buffer,
    const struct log *log, struct connection_turn *turn);

/* Log why it is closed, unless the reason is "". */
void connection_log_close(
    const struct connection *c, const struct log *log, const struct error *why);

/*
 * Its request is answered. `keep`: it can be used again. `linger`: bytes may still come that mean
 * nothing, so the client must read the answer before it is closed. true: take its next turn, for the
 * next request or to drain it; false: close it.
 */
bool connection_go_on(struct connection *c, bool keep, bool linger);

#endif
