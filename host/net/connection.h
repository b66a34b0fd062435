/*
 * The connections of the front, or of a direct worker: a table with a place for each. A connection
 * is owned by the thread that serves it, or it is parked and the shared epoll watches it. A
 * half-sent request costs a place and a deadline, never a thread.
 */
#ifndef EXTHOST_CONNECTION_H
#define EXTHOST_CONNECTION_H

#include "base/buffer.h"
#include "base/clock.h"
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
	 * Bytes taken off the socket, because the head did not come whole or libfcgi would misread
	 * it. request_taken_read decodes the request from here, and bytes behind it stay here.
	 */
	struct buffer taken;
	bool is_taken;
	size_t judged; /* bytes of `taken` that wire_check has seen, and found incomplete */
	bool draining; /* answered for the last time: bytes that still come are dropped */
	size_t drained;
	uint64_t drain_end; /* clock_now() at which draining ends at the latest */
	bool has_begun;     /* its request has begun, and the body still comes */
	/* Private to the table. */
	uint32_t index, generation;
	int state;
	bool watched;
	bool evicted;       /* shut down to make room for another client */
	uint64_t parked_at; /* clock_now() */
	uint64_t deadline;  /* clock_now() at which a thread must look at it again; 0: never */
};

/* NULL: no memory. epoll is the shared one. */
struct connections *connections_create(size_t most, int epoll, const struct wire_rules *rules);

/* Add an accepted descriptor, owned by the caller. NULL: the table is full. */
struct connection *connections_add(struct connections *t, int fd, const struct listener *l);

/*
 * An event came with this tag: the caller now owns the connection. NULL: another thread owns it,
 * and will look at it again before parking it.
 */
struct connection *connections_claim(struct connections *t, uint64_t tag);

/*
 * Leave the connection to the epoll. An event also comes at the deadline (0: none). false: bytes
 * have come since the caller looked; the caller still owns it and must look again.
 */
bool connections_park(struct connections *t, struct connection *c, uint64_t deadline);

/* Close it and free its place. */
void connections_close(struct connections *t, struct connection *c);

/*
 * As connections_close, for a descriptor that stays open in another process: the epoll would watch
 * it until that process closes it.
 */
void connections_forget(struct connections *t, struct connection *c);

/*
 * Raise an event for each connection that is parked beyond its deadline, so that a thread looks at
 * it and can still answer. true: some parked connection has a deadline.
 */
bool connections_expire(struct connections *t, uint64_t now);

/* As connections_expire, and shut down parked connections without a request: the host stops. */
void connections_expire_idle(struct connections *t, uint64_t now);

/*
 * All places are taken and a client waits for one: shut down the oldest parked connection without a
 * whole head, so that a thread closes it. It is idle, or its head has begun to come, for a second
 * at least. If there is none, nothing happens.
 */
void connections_make_room(struct connections *t, uint64_t now);

/* A parked connection that has begun no request, now owned by the caller. NULL: there is none. */
struct connection *connections_take_idle(struct connections *t);

/* The table has room for another connection. */
bool connections_have_room(struct connections *t);

/*
 * As connections_take_idle, to make room: the connection that was parked first, a second ago at
 * least. NULL: there is none.
 */
struct connection *connections_take_oldest_idle(struct connections *t, uint64_t now);

/* The numbers of open connections, and of parked ones among them. */
void connections_count(struct connections *t, size_t *open, size_t *parked);

enum connection_look {
	LOOK_READY, /* a whole head is there */
	LOOK_WAIT,  /* the head is not whole yet */
	LOOK_CLOSE, /* the client has ended, or broke the protocol: *e; "" after a plain end */
	LOOK_REFUSE /* answer *status, for the reason in *e, and close */
};

/*
 * Look at the bytes at the head of the connection, through a buffer of rules->max_head bytes. A
 * whole request is left in the socket; anything else is taken into c->taken. Records that belong
 * to no request (FCGI_GET_VALUES, unknown types, unknown roles) are answered here.
 */
enum connection_look connection_look(
    struct connection *c, unsigned char *buffer, int *status, struct error *e);

/*
 * clock_now() until which a connection may be parked without a whole head: 0, without end, unless
 * a head has begun; then CONNECTION_HEAD_TIMEOUT_S after its first bytes.
 */
uint64_t connection_deadline(const struct connection *c, uint64_t now);

#define CONNECTION_HEAD_TIMEOUT_S 10

/*
 * The connection has had its last answer, but its client may still send: after a refusal, and
 * where a body was whole before the end of its stream. Shut down the sending side; bytes that come
 * must be drained, so that the client reads the answer and not a reset.
 */
void connection_leave(struct connection *c, uint64_t now);

/*
 * Drop the bytes that have come after connection_leave. 0: close it now; else park it until this
 * clock_now(). Limited in bytes and in time.
 */
uint64_t connection_drain(struct connection *c, unsigned char *buffer, uint64_t now);

/* After the answer to a request: the next head begins. */
void connection_next(struct connection *c);

/* What to do with a connection, after its turn. */
enum connection_step {
	CONNECTION_REQUEST, /* begin its request, or refuse it with `status` for the reason `why` */
	CONNECTION_PARK,    /* park it until `deadline` */
	CONNECTION_CLOSE    /* close it; the reason, if there is one, has been logged */
};

struct connection_turn {
	int status;        /* 0: the request is not refused */
	struct error why;  /* reason of the refusal */
	uint64_t deadline; /* clock_now(); 0: none */
};

/*
 * The turn of a connection with no request begun: drain it after its last answer, or look at its
 * head. The buffer is as for connection_look.
 */
enum connection_step connection_take_turn(struct connection *c, unsigned char *buffer,
    const struct log *log, struct connection_turn *turn);

/* Log the reason for closing it; "" is none. */
void connection_log_close(
    const struct connection *c, const struct log *log, const struct error *why);

/*
 * After the answer to its request. `keep`: the connection can be used again. `linger`: the client
 * may still send bytes without a meaning, which must be drained. true: take its next turn; false:
 * close it.
 */
bool connection_go_on(struct connection *c, bool keep, bool linger);

#endif
