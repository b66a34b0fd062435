#include "decoders.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "net/connection.h"
#include "net/listen.h"
#include "net/wire_check.h"
#include "request/incoming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PARAMS_MOST 4096
#define BODY_MOST 20000
#define ONE_BY_ONE 1024 /* bytes that are worth a piece each */

static const struct config config = {.max_header = PARAMS_MOST,
    .body_timeout = 3600,
    .tmpdir = (char *)"/tmp",
    .limits = {.max_body = BODY_MOST}};
static const struct log silent = {.fd = -1, .least = LEVEL_ERROR};
static const struct listener listeners[2] = {{.fd = -1, .address = (char *)"web"},
    {.fd = -1, .address = (char *)"relay", .trust_fossil = true}};

/* One connection while its bytes come. */
struct way {
	struct decoders_seen *seen;
	struct connection *c;
	bool front, over, by_libfcgi;
	struct incoming in;
	unsigned char *buffer;
	struct buffer answers;
	int client;
};

static struct connections *table;
static unsigned char *head;

static void need(bool condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	abort();
}

static void start(void)
{
	static struct wire_rules rules;
	struct error e;

	if (table != NULL)
		return;
	rules = wire_rules_make(PARAMS_MOST, 1);
	table = connections_create(1, epoll_create1(EPOLL_CLOEXEC), &rules);
	head = malloc(rules.max_head);
	need(table != NULL && head != NULL && request_start_decoder(&e) == 0, "start");
}

static char *text_of(struct buffer *b)
{
	need(buffer_append(b, "", 1) == 0, "memory");
	return b->data;
}

static void put_hex(struct buffer *b, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		buffer_printf(b, "%02x", ((const unsigned char *)bytes)[i]);
}

static void put_body(struct buffer *b, const struct request *r)
{
	static unsigned char bytes[BODY_MOST];
	ssize_t n = r->body >= 0 ? pread(r->body, bytes, sizeof(bytes), 0) : 0;

	buffer_printf(b, "body of %llu bytes, %zd in the file, read from %lld: ",
	    (unsigned long long)r->body_size, n,
	    r->body >= 0 ? (long long)lseek(r->body, 0, SEEK_CUR) : 0);
	put_hex(b, bytes, n > 0 ? (size_t)n : 0);
	buffer_printf(b, "\n");
}

static void put_variables(struct buffer *b, const struct request *r)
{
	buffer_printf(b, "%zu variables\n", r->variables.count);
	for (size_t i = 0; i < r->variables.count; i++)
		buffer_printf(b, "%s\n", r->variables.items[i]);
}

/* All but its id, the time it began, and the numbers of its descriptors. */
static char *describe(struct way *w, int status, const char *why)
{
	struct request *r = &w->in.request;
	const struct response *p = &r->response;
	struct buffer b = {0};

	buffer_printf(&b, "status %d: %s\n", status, why);
	buffer_printf(&b, "keep %d relay %d hold %d trust %d\n", w->c->check.keep_conn, r->relay,
	    r->hold, r->trust_fossil);
	buffer_printf(&b, "response: fastcgi %d id %u own %d waiting %zu sent %llu deadline %llu\n",
	    p->fastcgi, p->request_id, p->fd == w->c->fd, p->waiting.size,
	    (unsigned long long)p->sent, (unsigned long long)p->deadline);
	buffer_printf(&b, "failed %d broken %d late %d given up %d left %zu begun %d aborted %d\n",
	    p->failed, p->broken, p->late, p->given_up, p->left.size, p->begun != NULL,
	    p->aborted != NULL);
	buffer_printf(&b, "queued %llu language %d script %d status %d cut %llu dropped %d\n",
	    (unsigned long long)r->queued, r->language, r->script != NULL, r->status,
	    (unsigned long long)r->cut, r->dropped != NULL);
	put_variables(&b, r);
	/* Of a refused body so much is there as its last piece allowed. */
	if (status == 0) {
		put_body(&b, r);
		need(request_complete_variables(r, NULL) == 0, "request_complete_variables");
		buffer_printf(&b, "complete: ");
		put_variables(&b, r);
	}
	return text_of(&b);
}

/*
 * The stream's end was seen, bytes behind the request are taken, bytes are left on the connection.
 */
static char *describe_moment(const struct way *w, int status)
{
	struct buffer b = {0};
	int left = 0;

	ioctl(w->c->fd, FIONREAD, &left);
	buffer_printf(&b, "unended %d\n", w->in.request.unended);
	/* The rest of what is refused is drained, wherever it is. */
	if (status == 0)
		buffer_printf(&b, "followed %d left %zu\n", w->in.request.behind.size > 0,
		    w->in.request.behind.size + (size_t)left);
	return text_of(&b);
}

static void end(struct way *w, const char *how, const char *why)
{
	struct buffer b = {0};

	buffer_printf(&b, "%s: %s", how, why);
	w->seen->end = text_of(&b);
	w->over = true;
}

/* What the front and a direct worker do with a request that is whole, or will never be. */
static void finish(struct way *w, int status, const struct error *why)
{
	struct decoders_request *q = &w->seen->requests[w->seen->count++];
	struct connection *c = w->c;
	bool refused = status > 0 && status != REQUEST_ABORTED;
	bool keep = !refused && c->check.keep_conn;

	keep = incoming_is_answered(&w->in, c, &silent, status, why) && keep;
	*q = (struct decoders_request){.status = status,
	    .by_libfcgi = w->by_libfcgi,
	    .made = describe(w, status, status != 0 ? why->message : ""),
	    .moment = describe_moment(w, status)};
	keep = incoming_end(&w->in, c, status, keep);
	if (!keep || c->draining)
		end(w, "closed", "");
	else if (w->seen->count == DECODERS_REQUESTS)
		end(w, "enough", "");
	else if (!w->front)
		c->is_taken = true;
}

/* A turn of the connection. false: nothing more is there, or it is over. */
static bool take_turn(struct way *w)
{
	struct connection_turn turn = {.why = {""}};
	int status;

	if (!w->in.begun) {
		switch (connection_take_turn(w->c, w->buffer, &silent, &turn)) {
		case CONNECTION_REQUEST: break;
		case CONNECTION_PARK: return false;
		case CONNECTION_CLOSE: end(w, "closed", turn.why.message); return false;
		}
		request_init_numbered(&w->in.request, 1);
		w->by_libfcgi = turn.status == 0 && !w->c->is_taken;
	}
	status = incoming_read(&w->in, w->c, w->buffer, w->c->check.rules->max_head, &turn);
	if (status == REQUEST_MORE)
		return false;
	finish(w, status, &turn.why);
	return !w->over;
}

static void receive(struct way *w)
{
	unsigned char bytes[4096];
	ssize_t n;

	while ((n = recv(w->client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		put_hex(&w->answers, bytes, (size_t)n);
}

static void go_on(struct way *w)
{
	while (!w->over && take_turn(w))
		;
	receive(w);
}

void decoders_see(struct decoders_seen *seen, const uint8_t *bytes, size_t size, size_t piece,
    bool front, bool trusted)
{
	struct way w = {.seen = seen, .front = front, .in.config = &config};
	int ends[2];

	start();
	*seen = (struct decoders_seen){0};
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
	    "socketpair");
	w.client = ends[1];
	w.buffer = head;
	w.c = connections_add(table, ends[0], &listeners[trusted]);
	need(w.c != NULL, "connections_add");
	w.c->is_taken = !front;
	for (size_t n; size > 0 && !w.over; bytes += n, size -= n) {
		n = piece == 0 || piece > size ? size : piece;
		need(send(w.client, bytes, n, MSG_NOSIGNAL) == (ssize_t)n, "send");
		go_on(&w);
	}
	shutdown(w.client, SHUT_WR);
	go_on(&w);
	need(w.over, "a connection that has ended is not closed");
	seen->answers = text_of(&w.answers);
	connections_close(table, w.c);
	close(w.client);
}

void decoders_release(struct decoders_seen *seen)
{
	for (size_t i = 0; i < seen->count; i++) {
		free(seen->requests[i].made);
		free(seen->requests[i].moment);
	}
	free(seen->answers);
	free(seen->end);
	*seen = (struct decoders_seen){0};
}

/* The first line in which two texts differ. NULL: none. */
static const char *differ(const char *what, size_t number, const char *a, const char *b)
{
	static char text[1024];

	if (strcmp(a, b) == 0)
		return NULL;
	while (*a == *b && strcspn(a, "\n") == strcspn(b, "\n") &&
	       strncmp(a, b, strcspn(a, "\n") + 1) == 0) {
		a = strchr(a, '\n') + 1;
		b = strchr(b, '\n') + 1;
	}
	snprintf(text, sizeof(text), "%s, request %zu: '%.*s' and '%.*s'", what, number,
	    (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
	return text;
}

static const char *differ_around(const struct decoders_seen *a, const struct decoders_seen *b)
{
	const char *found = differ("sent to the client", a->count, a->answers, b->answers);

	if (found == NULL && a->count != b->count)
		found = "another number of requests";
	return found;
}

const char *decoders_differ(const struct decoders_seen *front, const struct decoders_seen *direct)
{
	const char *found = NULL;

	for (size_t i = 0; found == NULL && i < front->count && i < direct->count; i++) {
		const struct decoders_request *a = &front->requests[i], *b = &direct->requests[i];

		found = differ("front and direct worker", i + 1, a->made, b->made);
		if (found == NULL)
			found = differ("front and direct worker", i + 1, a->moment, b->moment);
	}
	if (found == NULL)
		found = differ_around(front, direct);
	return found != NULL ? found : differ("end", front->count, front->end, direct->end);
}

const char *decoders_differ_in_pieces(
    const struct decoders_seen *whole, const struct decoders_seen *pieces)
{
	const char *found = NULL;

	for (size_t i = 0; found == NULL && i < whole->count && i < pieces->count; i++) {
		const struct decoders_request *a = &whole->requests[i], *b = &pieces->requests[i];

		if (a->status != REQUEST_ABORTED || b->status != 0)
			found = differ("whole and in pieces", i + 1, a->made, b->made);
	}
	return found != NULL ? found : differ_around(whole, pieces);
}

/* One size of pieces, of which `whole` has been seen. */
static const char *check_pieces(const struct decoders_seen *whole, const uint8_t *bytes,
    size_t size, size_t piece, bool trusted)
{
	struct decoders_seen front, direct;
	const char *found;

	decoders_see(&front, bytes, size, piece, true, trusted);
	decoders_see(&direct, bytes, size, piece, false, trusted);
	found = decoders_differ(&front, &direct);
	if (found == NULL)
		found = decoders_differ_in_pieces(whole, &front);
	decoders_release(&front);
	decoders_release(&direct);
	return found;
}

const char *decoders_check(const uint8_t *bytes, size_t size, bool trusted)
{
	static const size_t pieces[] = {0, 64, 7, 1};
	struct decoders_seen whole;
	const char *found = NULL;

	decoders_see(&whole, bytes, size, 0, true, trusted);
	for (size_t i = 0; found == NULL && i < sizeof(pieces) / sizeof(pieces[0]); i++)
		if (pieces[i] != 1 || size <= ONE_BY_ONE)
			found = check_pieces(&whole, bytes, size, pieces[i], trusted);
	decoders_release(&whole);
	return found;
}
