/*
 * Fuzz harness for name-value pairs, the content of PARAMS. The bytes are read as one block; then
 * they are sent as a request whose PARAMS are cut into records as the bytes themselves say. The
 * verdict of wire_check must follow from the pairs alone. If it accepts the request, the decoder
 * (request_taken_read, or libfcgi where it reads the request rightly) must make the same variables:
 * each name once, at its first place, with its last value.
 */
#include "replay.h"

#include "base/buffer.h"
#include "base/error.h"
#include "config/config.h"
#include "net/wire_check.h"
#include "request/request.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PARAMS_MOST 4096
#define HEAD_MOST 131072

static const struct wire_rules rules = {
    .max_params = PARAMS_MOST, .max_head = HEAD_MOST, .max_ignored = 16};

/* What wire_check must say once the PARAMS have ended. */
struct expected {
	enum wire_verdict verdict;
	bool is_named_twice; /* SCRIPT_FILENAME: from the relay READY is then BAD_REQUEST */
	char *items[PARAMS_MOST];
	size_t count;
};

/* The place of this "NAME=", or a new one. */
static char **place_of(struct expected *x, const char *item, size_t name_size)
{
	for (size_t i = 0; i < x->count; i++)
		if (strncmp(x->items[i], item, name_size + 1) == 0)
			return &x->items[i];
	return &x->items[x->count++];
}

static void expect_pair(struct expected *x, const struct wire_param *p)
{
	char *item = malloc(p->name_size + p->value_size + 2);
	char **place;

	insist(item != NULL, "no memory");
	memcpy(item, p->name, p->name_size);
	item[p->name_size] = '=';
	memcpy(item + p->name_size + 1, p->value, p->value_size);
	item[p->name_size + 1 + p->value_size] = '\0';
	if (p->name_size == 0 || memchr(p->name, '=', p->name_size) != NULL ||
	    memchr(item, 0, p->name_size + 1 + p->value_size) != NULL)
		x->verdict = WIRE_BAD_REQUEST;
	/* libfcgi passes the role of the request in this variable; scripts do not get it. */
	if (strncmp(item, "FCGI_ROLE=", 10) == 0 || x->verdict != WIRE_READY) {
		free(item);
		return;
	}
	place = place_of(x, item, p->name_size);
	if (*place != NULL && strncmp(item, "SCRIPT_FILENAME=", 16) == 0)
		x->is_named_twice = true;
	free(*place);
	*place = item;
}

/* The whole block: every pair lies in it, behind the one before. */
static void read_block(struct expected *x, const uint8_t *bytes, size_t size)
{
	const unsigned char *at = bytes, *before = bytes;
	size_t left = size, pairs = 0, announced;
	struct wire_param p;
	int result;

	x->verdict = WIRE_READY;
	while ((result = wire_param_next(&at, &left, &p)) == 1) {
		insist(p.name >= before + 2 && p.name <= before + 8, "a name elsewhere");
		insist(p.value == p.name + p.name_size, "a value elsewhere");
		insist(p.value + p.value_size == at, "a pair that does not end where it ends");
		insist(at + left == bytes + size, "bytes that are lost");
		expect_pair(x, &p);
		before = at;
		pairs++;
		if (at - bytes > PARAMS_MOST) {
			x->verdict = WIRE_TOO_LARGE;
			return;
		}
	}
	insist(result == 0 || result == -1, "no such result");
	insist(result != 0 || left == 0, "an end before the end");
	if (result == 0) {
		x->verdict = pairs == 0 ? WIRE_BAD_REQUEST : x->verdict;
		return;
	}
	/* The lengths of the last pair decide which of the two faults it is. */
	at = before;
	left = (size_t)(bytes + size - before);
	result = wire_lengths_next(&at, &left, &p.name_size, &p.value_size);
	announced = (size_t)(at - bytes) + p.name_size + p.value_size;
	x->verdict = result == 1 && announced > PARAMS_MOST ? WIRE_TOO_LARGE : WIRE_MALFORMED;
}

static void put_record(
    struct buffer *out, enum wire_type type, const uint8_t *content, size_t size, uint8_t padding)
{
	static const uint8_t zeros[255];
	const struct wire_header header = {.version = WIRE_VERSION,
	    .type = (uint8_t)type,
	    .request_id = 1,
	    .content = (uint16_t)size,
	    .padding = padding};
	unsigned char bytes[WIRE_HEADER];

	wire_header_write(bytes, &header);
	insist(buffer_append(out, bytes, sizeof(bytes)) == 0 &&
		   buffer_append(out, content, size) == 0 &&
		   buffer_append(out, zeros, padding) == 0,
	    "no memory");
}

/* A request of these PARAMS, in one record or cut by the bytes, without a body. */
static void make_request(struct buffer *out, const uint8_t *bytes, size_t size, int cut)
{
	static const uint8_t begin[8] = {0, WIRE_RESPONDER, 0};

	put_record(out, WIRE_BEGIN_REQUEST, begin, sizeof(begin), 0);
	while (size > 0) {
		size_t n = cut ? piece_size(bytes, size) : size;

		put_record(out, WIRE_PARAMS, bytes, n, cut ? bytes[0] / 64 : 0);
		bytes += n;
		size -= n;
	}
	put_record(out, WIRE_PARAMS, NULL, 0, 0);
	put_record(out, WIRE_STDIN, NULL, 0, 0);
}

/* Looked at in pieces too, each a little longer than the one before. */
static enum wire_verdict check(struct wire_check *c, const struct buffer *request)
{
	const unsigned char *bytes = (const unsigned char *)request->data;
	enum wire_verdict verdict = WIRE_MORE;

	for (size_t n = 0; n < request->size && verdict == WIRE_MORE;) {
		n += piece_size(bytes + n, request->size - n);
		verdict = wire_check(c, bytes, n);
	}
	return verdict;
}

static void compare(struct request *r, struct expected *x)
{
	insist(r->variables.count == x->count, "another number of variables");
	/* A length that the web server does not know is set to what came. */
	for (size_t i = 0; i < x->count; i++) {
		size_t name = strcspn(x->items[i], "=");
		char *text = strndup(x->items[i], name);

		insist(strcmp(r->variables.items[i], x->items[i]) == 0 ||
			   strcmp(x->items[i], "CONTENT_LENGTH=-1") == 0,
		    "another variable than the pair says");
		insist(strcmp(cgi_variables_text(&r->variables, text),
			   r->variables.items[i] + name + 1) == 0,
		    "another value than the environment's");
		free(text);
	}
	request_release(r);
}

static const struct config config = {
    .max_header = PARAMS_MOST, .reply_buffer = 4096, .tmpdir = (char *)"/tmp"};

static void decode_by_libfcgi(const struct buffer *request, struct expected *x)
{
	static int started;
	struct request r = {.body = -1};
	struct error e;
	int ends[2];

	if (!started++)
		insist(request_start_decoder(&e) == 0, "libfcgi does not start");
	insist(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "no sockets");
	insist(send(ends[0], request->data, request->size, 0) == (ssize_t)request->size,
	    "no room in the socket");
	shutdown(ends[0], SHUT_WR);
	insist(request_read(&r, ends[1], &config, &e) >= 0, "libfcgi refuses what was let pass");
	close(ends[0]);
	close(ends[1]);
	compare(&r, x);
}

static void decode_by_wire(struct buffer *request, const struct wire_check *c, struct expected *x)
{
	struct request r = {.body = -1};
	unsigned char buffer[64];
	struct request_taken t;
	struct error e;
	int status = request_taken_begin(&r, &t, request, c, &config, &e);

	if (status == REQUEST_MORE)
		status = request_taken_read(&r, &t, request, buffer, sizeof(buffer), &e);
	insist(status >= 0, "request_taken_read refuses what was let pass");
	compare(&r, x);
}

static void send_request(
    const uint8_t *bytes, size_t size, int cut, bool from_relay, struct expected *x)
{
	struct wire_check c = {.rules = &rules, .from_relay = from_relay};
	struct buffer request = {0};
	enum wire_verdict expected = x->verdict;

	if (expected == WIRE_READY && from_relay && x->is_named_twice)
		expected = WIRE_BAD_REQUEST;
	make_request(&request, bytes, size, cut);
	insist(check(&c, &request) == expected, "a verdict that does not follow from the pairs");
	if (expected == WIRE_READY && !from_relay) {
		if (c.unfit == NULL)
			decode_by_libfcgi(&request, x);
		decode_by_wire(&request, &c, x);
	}
	buffer_release(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct expected x;

	/* Cut into records of one byte each, more would be too large a head. */
	if (size > 2 * PARAMS_MOST)
		return 0;
	read_block(&x, bytes, size);
	send_request(bytes, size, 0, false, &x);
	send_request(bytes, size, 1, false, &x);
	send_request(bytes, size, 1, true, &x);
	while (x.count > 0)
		free(x.items[--x.count]);
	memset(&x, 0, sizeof(x));
	return 0;
}
