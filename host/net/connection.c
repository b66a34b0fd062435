/*
 * The epoll is edge-triggered: bytes that were only looked at stay in the socket and would make a
 * level-triggered one fire without end. So an event can come for a connection that a thread owns;
 * it is then marked, and the thread looks once more before parking it. Places are never freed and
 * an event's tag has their generation, so a late event for a closed connection finds no
 * connection.
 */
#include "net/connection.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/listen.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* A younger connection makes no room for another. */
#define ROOM_AGE_NS CLOCK_SECOND
#define DRAIN_MAX_BYTES 16777216             /* dropped in all */
#define DRAIN_TIMEOUT_NS (10 * CLOCK_SECOND) /* in all */
#define DRAIN_PAUSE_NS (2 * CLOCK_SECOND)    /* without a byte */

enum { FREE, OWNED, OWNED_AND_SIGNALLED, PARKED };

static void log_ignored(const struct connection *c, const struct log *log);

struct connections {
	pthread_mutex_t lock;
	int epoll;
	struct wire_rules rules;
	size_t most, open;
	struct connection *places;
	uint32_t *free; /* a stack of indices */
	size_t free_count;
};

struct connections *connections_create(size_t most, int epoll, const struct wire_rules *rules)
{
	struct connections *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->places = calloc(most, sizeof(*t->places));
	t->free = calloc(most, sizeof(*t->free));
	if (t->places == NULL || t->free == NULL) {
		free(t->places);
		free(t->free);
		free(t);
		return NULL;
	}
	pthread_mutex_init(&t->lock, NULL);
	t->epoll = epoll;
	t->rules = *rules;
	t->most = most;
	for (size_t i = most; i-- > 0;)
		t->free[t->free_count++] = (uint32_t)i;
	return t;
}

struct connection *connections_add(struct connections *t, int fd, const struct listener *l)
{
	struct connection *c = NULL;

	pthread_mutex_lock(&t->lock);
	if (t->free_count > 0) {
		uint32_t index = t->free[--t->free_count];
		uint32_t generation = t->places[index].generation;

		c = &t->places[index];
		*c = (struct connection){.fd = fd,
		    .listener = l,
		    .check = {.rules = &t->rules, .from_relay = l->trust_fossil},
		    .index = index,
		    .generation = generation,
		    .state = OWNED};
		t->open++;
	}
	pthread_mutex_unlock(&t->lock);
	return c;
}

struct connection *connections_claim(struct connections *t, uint64_t tag)
{
	struct connection *c = &t->places[tag & 0xffffffff];
	struct connection *mine = NULL;

	pthread_mutex_lock(&t->lock);
	if (c->generation == tag >> 32) {
		if (c->state == PARKED) {
			c->state = OWNED;
			mine = c;
		} else if (c->state == OWNED) {
			c->state = OWNED_AND_SIGNALLED;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return mine;
}

/*
 * The first parking adds the descriptor to the epoll, which raises an event if bytes are there
 * already.
 */
static int watch(struct connections *t, struct connection *c)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
	    .data.u64 = (uint64_t)c->generation << 32 | c->index};

	c->watched = true;
	return epoll_ctl(t->epoll, EPOLL_CTL_ADD, c->fd, &event);
}

bool connections_park(struct connections *t, struct connection *c, uint64_t deadline)
{
	bool parked;

	pthread_mutex_lock(&t->lock);
	parked = c->state == OWNED;
	c->state = parked ? PARKED : OWNED;
	c->deadline = deadline;
	c->parked_at = clock_now();
	if (parked && !c->watched && watch(t, c) < 0)
		shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_unlock(&t->lock);
	return parked;
}

void connections_close(struct connections *t, struct connection *c)
{
	pthread_mutex_lock(&t->lock);
	fd_close(&c->fd);
	buffer_release(&c->taken);
	c->state = FREE;
	c->generation++;
	t->free[t->free_count++] = c->index;
	t->open--;
	pthread_mutex_unlock(&t->lock);
}

void connections_forget(struct connections *t, struct connection *c)
{
	if (c->watched)
		epoll_ctl(t->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	connections_close(t, c);
}

/*
 * A connection can usually be written to, so asking for EPOLLOUT raises an event at once. If it
 * cannot, there is no room for an answer either, and it is shut down.
 */
static void wake(struct connections *t, struct connection *c)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	    .data.u64 = (uint64_t)c->generation << 32 | c->index};
	struct pollfd ready = {.fd = c->fd, .events = POLLOUT};

	if (poll(&ready, 1, 0) > 0)
		epoll_ctl(t->epoll, EPOLL_CTL_MOD, c->fd, &event);
	else
		shutdown(c->fd, SHUT_RDWR);
}

static bool expire(struct connections *t, uint64_t now, bool idle)
{
	bool more = false;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->most; i++) {
		struct connection *c = &t->places[i];

		/* Only its owner may read the fields of a connection that is not parked. */
		if (c->state != PARKED)
			continue;
		if (idle && (c->check.state.seen == 0 || c->draining))
			shutdown(c->fd, SHUT_RDWR);
		else if (c->deadline != 0 && c->deadline <= now)
			wake(t, c);
		more = more || c->deadline != 0;
	}
	pthread_mutex_unlock(&t->lock);
	return more;
}

bool connections_expire(struct connections *t, uint64_t now)
{
	return expire(t, now, false);
}

void connections_expire_idle(struct connections *t, uint64_t now)
{
	expire(t, now, true);
}

static bool is_idle(const struct connection *c)
{
	return c->state == PARKED && c->check.state.seen == 0 && c->taken.size == 0 && !c->draining;
}

/* Its place can be another's: no whole head has come, or, if `idle`, not a byte. */
static bool can_make_room(const struct connection *c, bool idle)
{
	return idle ? is_idle(c)
		    : c->state == PARKED && !c->has_begun && !c->draining && !c->evicted;
}

/*
 * How long no whole head has come. Each piece of a head parks the connection again, so the age of a
 * head follows from its deadline.
 */
static uint64_t age_without_head(const struct connection *c, uint64_t now)
{
	uint64_t since = c->taken.size > 0 ? c->deadline - CONNECTION_HEAD_TIMEOUT_S * CLOCK_SECOND
					   : c->parked_at;

	return now > since ? now - since : 0;
}

/* The oldest connection that can make room, or NULL. With the lock held. */
static struct connection *find_oldest(struct connections *t, uint64_t now, bool idle)
{
	struct connection *oldest = NULL;
	uint64_t most = ROOM_AGE_NS;

	for (size_t i = 0; i < t->most; i++) {
		struct connection *c = &t->places[i];
		uint64_t age = can_make_room(c, idle) ? age_without_head(c, now) : 0;

		if (age >= most) {
			most = age;
			oldest = c;
		}
	}
	return oldest;
}

void connections_make_room(struct connections *t, uint64_t now)
{
	struct connection *oldest;

	pthread_mutex_lock(&t->lock);
	oldest = find_oldest(t, now, false);
	if (oldest != NULL) {
		oldest->evicted = true;
		shutdown(oldest->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&t->lock);
}

struct connection *connections_take_idle(struct connections *t)
{
	struct connection *found = NULL;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->most && found == NULL; i++)
		if (is_idle(&t->places[i]))
			found = &t->places[i];
	if (found != NULL)
		found->state = OWNED;
	pthread_mutex_unlock(&t->lock);
	return found;
}

struct connection *connections_take_oldest_idle(struct connections *t, uint64_t now)
{
	struct connection *found;

	pthread_mutex_lock(&t->lock);
	found = find_oldest(t, now, true);
	if (found != NULL)
		found->state = OWNED;
	pthread_mutex_unlock(&t->lock);
	return found;
}

bool connections_have_room(struct connections *t)
{
	bool room;

	pthread_mutex_lock(&t->lock);
	room = t->free_count > 0;
	pthread_mutex_unlock(&t->lock);
	return room;
}

void connections_count(struct connections *t, size_t *open, size_t *parked)
{
	pthread_mutex_lock(&t->lock);
	*open = t->open;
	*parked = 0;
	for (size_t i = 0; i < t->most; i++)
		*parked += t->places[i].state == PARKED;
	pthread_mutex_unlock(&t->lock);
}

/* Take bytes off the socket, into c->taken (`keep`) or to drop them. */
static int take(struct connection *c, unsigned char *buffer, size_t size, bool keep)
{
	while (size > 0) {
		ssize_t n = recv(c->fd, buffer, size, MSG_DONTWAIT);

		if (n <= 0 || (keep && buffer_append(&c->taken, buffer, (size_t)n) < 0))
			return -1;
		size -= (size_t)n;
	}
	return 0;
}

/* Drop the bytes that wire_check has dealt with, and send its answer. */
static int answer(struct connection *c, unsigned char *buffer)
{
	struct wire_check *check = &c->check;

	c->judged = 0;
	if (c->is_taken)
		buffer_consume(&c->taken, check->take);
	else if (take(c, buffer, check->take, false) < 0)
		return -1;
	if (check->answer_size > 0 &&
	    send(c->fd, check->answer, check->answer_size, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		(ssize_t)check->answer_size)
		return -1;
	return check->close ? -1 : 0;
}

/*
 * The bytes to be judged: those in the socket, or those taken before and since. Returns their
 * number; 0: the peer has ended; -1 with errno.
 */
static ssize_t look_at(struct connection *c, unsigned char *buffer, const unsigned char **bytes)
{
	size_t most = c->check.rules->max_head;
	ssize_t n;

	do
		n = recv(c->fd, buffer, c->is_taken ? most - c->taken.size : most,
		    MSG_DONTWAIT | (c->is_taken ? 0 : MSG_PEEK));
	while (n < 0 && errno == EINTR);
	*bytes = buffer;
	if (!c->is_taken)
		return n;
	if (n > 0 && buffer_append(&c->taken, buffer, (size_t)n) < 0)
		return -1;
	*bytes = (unsigned char *)c->taken.data;
	/* Bytes of an earlier look may not have been judged yet. */
	return n > 0 || c->taken.size > c->judged ? (ssize_t)c->taken.size : n;
}

/*
 * libfcgi may be given a request that is there with its whole body, nothing that libfcgi misreads
 * in it and no byte behind it. A body that still comes may bring an ABORT_REQUEST, which libfcgi
 * does not know.
 */
static bool is_for_libfcgi(const struct connection *c, const unsigned char *bytes, size_t size)
{
	return c->check.unfit == NULL && wire_check_end(&c->check, bytes, size) == size;
}

/* No more bytes of the head have come. */
static enum connection_look wait_for_head(const struct connection *c, struct error *e)
{
	if (c->deadline == 0 || clock_now() < c->deadline)
		return LOOK_WAIT;
	error_set(e, "the head of a request was not whole after %d s", CONNECTION_HEAD_TIMEOUT_S);
	return LOOK_CLOSE;
}

enum connection_look connection_look(
    struct connection *c, unsigned char *buffer, int *status, struct error *e)
{
	struct wire_check *check = &c->check;

	e->message[0] = '\0';
	for (;;) {
		const unsigned char *bytes;
		ssize_t n = look_at(c, buffer, &bytes);

		if (n < 0)
			return errno == EAGAIN ? wait_for_head(c, e) : LOOK_CLOSE;
		if (n == 0) {
			if (c->taken.size > 0)
				error_set(e, c->evicted
						 ? "another client takes the place of an "
						   "unfinished request"
						 : "the client ended in the middle of a request");
			return LOOK_CLOSE;
		}
		switch (wire_check(check, bytes, (size_t)n)) {
		case WIRE_MORE:
			/*
			 * Left in the socket, the bytes could fill it and leave no room for the
			 * rest: a unix socket counts each write of the client as a kilobyte.
			 */
			if (!c->is_taken && take(c, buffer, (size_t)n, true) < 0)
				return LOOK_CLOSE;
			c->is_taken = true;
			c->judged = (size_t)n;
			break;
		case WIRE_READY:
			if (!c->is_taken && !is_for_libfcgi(c, bytes, (size_t)n)) {
				if (take(c, buffer, (size_t)n, true) < 0)
					return LOOK_CLOSE;
				c->is_taken = true;
			}
			return LOOK_READY;
		case WIRE_ANSWER:
			if (answer(c, buffer) < 0)
				return LOOK_CLOSE;
			break;
		case WIRE_TOO_LARGE:
			*status = 431;
			error_set(
			    e, "the variables are larger than %zu bytes", check->rules->max_params);
			return LOOK_REFUSE;
		case WIRE_BAD_REQUEST:
			*status = 400;
			error_set(e, "%s", check->reason);
			return LOOK_REFUSE;
		case WIRE_MALFORMED: error_set(e, "%s", check->reason); return LOOK_CLOSE;
		}
	}
}

uint64_t connection_deadline(const struct connection *c, uint64_t now)
{
	if (c->taken.size == 0)
		return 0;
	return c->deadline != 0 ? c->deadline : now + CONNECTION_HEAD_TIMEOUT_S * CLOCK_SECOND;
}

void connection_leave(struct connection *c, uint64_t now)
{
	shutdown(c->fd, SHUT_WR);
	c->draining = true;
	c->deadline = 0;
	c->drain_end = now + DRAIN_TIMEOUT_NS;
}

uint64_t connection_drain(struct connection *c, unsigned char *buffer, uint64_t now)
{
	uint64_t next = now + DRAIN_PAUSE_NS;
	ssize_t n = 1;

	/* Nothing has come since it was parked. */
	if (c->deadline != 0 && now >= c->deadline)
		return 0;
	while (n > 0 && c->drained < DRAIN_MAX_BYTES) {
		n = recv(c->fd, buffer, c->check.rules->max_head, MSG_DONTWAIT);
		c->drained += n > 0 ? (size_t)n : 0;
	}
	if (n >= 0 || errno != EAGAIN || now >= c->drain_end)
		return 0;
	return next < c->drain_end ? next : c->drain_end;
}

void connection_next(struct connection *c)
{
	wire_check_restart(&c->check);
	c->deadline = 0;
	c->judged = 0;
	if (c->taken.size == 0) {
		buffer_release(&c->taken);
		c->is_taken = false;
	}
}

enum connection_step connection_take_turn(struct connection *c, unsigned char *buffer,
    const struct log *log, struct connection_turn *turn)
{
	turn->status = 0;
	if (c->draining) {
		turn->deadline = connection_drain(c, buffer, clock_now());
		return turn->deadline != 0 ? CONNECTION_PARK : CONNECTION_CLOSE;
	}
	switch (connection_look(c, buffer, &turn->status, &turn->why)) {
	case LOOK_READY: log_ignored(c, log); return CONNECTION_REQUEST;
	case LOOK_REFUSE: return CONNECTION_REQUEST;
	case LOOK_WAIT:
		turn->deadline = connection_deadline(c, clock_now());
		return CONNECTION_PARK;
	case LOOK_CLOSE: break;
	}
	connection_log_close(c, log, &turn->why);
	return CONNECTION_CLOSE;
}

/* Within a request, records of a type that FastCGI does not know may be ignored (FastCGI, 3.3). */
static void log_ignored(const struct connection *c, const struct log *log)
{
	if (c->check.ignored > 0)
		log_message(log, LEVEL_DEBUG, "%s: %u records of unknown type ignored",
		    c->listener->address, c->check.ignored);
}

void connection_log_close(
    const struct connection *c, const struct log *log, const struct error *why)
{
	if (why->message[0] != '\0')
		log_message(log, LEVEL_WARNING, "%s: connection closed: %s", c->listener->address,
		    why->message);
}

bool connection_go_on(struct connection *c, bool keep, bool linger)
{
	if (linger)
		connection_leave(c, clock_now());
	else if (keep)
		connection_next(c);
	return linger || keep;
}
