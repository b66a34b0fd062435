/*
 * A reply on its way from a script to a client: what is held and when it is sent, what is cut, and
 * when the client is known to have it all. The client is the other end of a socket pair.
 */
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"
#include "net/wire.h"
#include "request/cgi_reply.h"
#include "request/error_page.h"
#include "request/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK "Status: 200 OK\r\n"
#define PIECES 4

/* One reply and its client. */
struct pair {
	struct request request;
	struct cgi_reply reply;
	struct wire_reply wire;
	int client;
	bool ended; /* END_REQUEST has come */
	struct buffer got;
	atomic_int sent;
};

static const struct config config = {
    .reply_buffer = 10, .limits.max_reply = 40, .tmpdir = (char *)"/tmp"};

static void begin(struct pair *p, const char *method, bool relay)
{
	int ends[2];

	*p = (struct pair){.wire.request_id = 1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	request_init_numbered(&p->request, 1);
	cgi_variables_set(&p->request.variables, "REQUEST_METHOD", method);
	p->request.relay = p->request.hold = relay;
	p->request.response = (struct response){.fd = ends[0], .fastcgi = true, .request_id = 1};
	p->client = ends[1];
	cgi_reply_init(&p->reply, &p->request, &config, &config.limits);
	p->reply.sent = &p->sent;
}

static void end(struct pair *p)
{
	cgi_reply_release(&p->reply);
	fd_close(&p->request.response.fd);
	fd_close(&p->client);
	request_release(&p->request);
	buffer_release(&p->got);
}

/* All that the client has by now. */
static const char *received(struct pair *p)
{
	unsigned char bytes[65536];
	const unsigned char *at = bytes, *data;
	size_t size, data_size;
	ssize_t n;

	while ((n = recv(p->client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		at = bytes;
		size = (size_t)n;
		for (;;) {
			enum wire_reply_event event =
			    wire_reply_next(&p->wire, &at, &size, &data, &data_size);

			if (event == WIRE_REPLY_MORE)
				break;
			assert_true(event == WIRE_REPLY_STDOUT || event == WIRE_REPLY_END);
			if (event == WIRE_REPLY_END) {
				p->ended = true;
				break;
			}
			buffer_append(&p->got, data, data_size);
		}
	}
	return buffer_string(&p->got);
}

static void feed(struct pair *p, const char *text)
{
	struct error e = {""};

	if (cgi_reply_feed(&p->reply, text, strlen(text), &e) < 0)
		fail_msg("%s", e.message);
}

/* What a script prints, piece by piece, and what has come before and after its end. */
static const struct reply_case {
	const char *what;
	const char *method;
	bool relay;
	bool app; /* nothing is held of it */
	const char *pieces[PIECES];
	const char *before; /* the end */
	const char *after;  /* NULL: it is refused, for this reason: */
	const char *reason;
	uint64_t cut;
	bool is_sent; /* before the end */
} cases[] = {
    {"a small one is held to its end", "GET", false, false, {"A: b\n\n", "page"}, "",
	OK "A: b\r\n\r\npage", NULL, 0, false},
    {"a header block in pieces is one", "GET", false, false, {"A:", " b\n", "\npa", "ge"}, "",
	OK "A: b\r\n\r\npage", NULL, 0, false},
    {"what fits the buffer is held", "GET", false, false, {"A: b\n\n", "0123456789"}, "",
	OK "A: b\r\n\r\n0123456789", NULL, 0, false},
    {"a larger reply is sent, and the rest goes at once", "GET", false, false,
	{"A: b\n\n", "01234", "567890", "x"}, OK "A: b\r\n\r\n01234567890x",
	OK "A: b\r\n\r\n01234567890x", NULL, 0, false},
    {"an app's goes at once", "GET", false, true, {"A: b\n\n", "x"}, OK "A: b\r\n\r\nx",
	OK "A: b\r\n\r\nx", NULL, 0, false},
    {"an app's header waits for a byte of its body", "GET", false, true, {"A: b\n\n"}, "",
	OK "A: b\r\n\r\n", NULL, 0, false},
    {"a stream goes with its header", "GET", false, false, {"X-Accel-Buffering: no\n\n"},
	OK "X-Accel-Buffering: no\r\n\r\n", OK "X-Accel-Buffering: no\r\n\r\n", NULL, 0, false},
    {"Fossil's is held whatever it says, and told its length", "GET", true, false,
	{"X-Accel-Buffering: no\n\n", "0123456789", "0123456789"}, "",
	"Content-Length: 20\nX-Accel-Buffering: no\n\n01234567890123456789", NULL, 0, false},
    {"Fossil's has its own length only once", "GET", true, false, {"Content-Length: 4\n\n", "page"},
	"", "Content-Length: 4\n\npage", NULL, 0, false},
    {"Fossil's status is its script's", "GET", true, false, {"Location: /x\nA: b\n\n"}, "",
	"A: b\nLocation: /x\n\n", NULL, 0, false},
    {"Fossil counts the body to HEAD", "HEAD", true, false, {"A: b\n\n", "page"}, "",
	"Content-Length: 4\nA: b\n\npage", NULL, 0, false},
    {"Fossil's of --max-reply bytes is whole", "GET", true, false,
	{"A: b\n\n", "01234567890123456789", "01234567890123456789"}, "",
	"Content-Length: 40\nA: b\n\n0123456789012345678901234567890123456789", NULL, 0, false},
    {"Fossil's of more than --max-reply is refused", "GET", true, false,
	{"A: b\n\n", "01234567890123456789", "01234567890123456789", "x"}, "", NULL,
	"larger than --max-reply, 40 bytes", 0, false},
    {"HEAD has no body", "HEAD", false, false, {"A: b\n\n", "0123456789", "x"}, "",
	OK "A: b\r\n\r\n", NULL, 0, false},
    {"HEAD keeps a length", "HEAD", false, false, {"Content-Length: 4\n\n", "page"}, "",
	OK "Content-Length: 4\r\n\r\n", NULL, 0, false},
    {"HEAD keeps a length without its body", "HEAD", false, false, {"Content-Length: 4\n\n"}, "",
	OK "Content-Length: 4\r\n\r\n", NULL, 0, false},
    {"a streamed HEAD is sent with its header", "HEAD", false, false,
	{"X-Accel-Buffering: no\n\n", "x"}, OK "X-Accel-Buffering: no\r\n\r\n",
	OK "X-Accel-Buffering: no\r\n\r\n", NULL, 0, true},
    {"204 has no body", "GET", false, false, {"Status: 204 N\n\npage"}, "", "Status: 204 N\r\n\r\n",
	NULL, 4, false},
    {"304 has no body, and a length of it", "GET", false, true,
	{"Status: 304 N\nContent-Length: 9\n\n", "page"}, "",
	"Status: 304 N\r\nContent-Length: 9\r\n\r\n", NULL, 4, false},
    {"204 for Fossil has none either", "GET", true, false, {"Status: 204 N\n\npage"}, "",
	"Status: 204 N\n\n", NULL, 4, false},
    {"a held body is cut at its length", "GET", false, false,
	{"Content-Length: 3\n\n", "page", "more"}, "", OK "Content-Length: 3\r\n\r\npag", NULL, 5,
	false},
    {"a body sent at once is cut too", "GET", false, true,
	{"Content-Length: 3\n\npa", "ge", "more"}, OK "Content-Length: 3\r\n\r\npag",
	OK "Content-Length: 3\r\n\r\npag", NULL, 5, true},
    {"Fossil's is too", "GET", true, false, {"Content-Length: 3\n\n", "page"}, "",
	"Content-Length: 3\n\npag", NULL, 1, false},
    {"what is cut is not held", "GET", false, false,
	{"Content-Length: 3\n\n", "0123456789", "0123456789"}, "",
	OK "Content-Length: 3\r\n\r\n012", NULL, 17, false},
    {"a whole length is sent before the end", "GET", false, true, {"Content-Length: 4\n\n", "page"},
	OK "Content-Length: 4\r\n\r\npage", OK "Content-Length: 4\r\n\r\npage", NULL, 0, true},
    {"a part of it is not", "GET", false, true, {"Content-Length: 5\n\n", "page"},
	OK "Content-Length: 5\r\n\r\npage", NULL, "is 5, but the body has 4 bytes", 0, false},
    {"a held part is refused", "GET", false, false, {"Content-Length: 5\n\n", "page"}, "", NULL,
	"is 5, but the body has 4 bytes", 0, false},
    {"nothing is refused", "GET", false, false, {""}, "", NULL, "no output", 0, false},
    {"a header block without end is refused", "GET", false, false, {"A: b\n", "C: d\n"}, "", NULL,
	"the output ends within the header block", 0, false},
    {"a bad header block is refused", "GET", false, true, {"A: b\n", "c\n\npage"}, "", NULL,
	"line 2 is not 'Name: value'", 0, false},
};

static void check(const struct reply_case *c)
{
	struct pair p;
	struct error e = {""};
	int result = 0;

	begin(&p, c->method, c->relay);
	if (c->app)
		p.reply.buffer = 0;
	for (size_t i = 0; i < PIECES && c->pieces[i] != NULL && result == 0; i++)
		result = cgi_reply_feed(&p.reply, c->pieces[i], strlen(c->pieces[i]), &e);
	if (strcmp(received(&p), c->before) != 0)
		fail_msg("%s: before its end came '%s'", c->what, received(&p));
	if (cgi_reply_is_sent(&p.reply) != c->is_sent || (atomic_load(&p.sent) != 0) != c->is_sent)
		fail_msg("%s: is it sent?", c->what);
	if (result == 0)
		result = cgi_reply_finish(&p.reply, &e);
	if (result < 0 && (c->after != NULL || strstr(e.message, c->reason) == NULL))
		fail_msg("%s: refused: %s", c->what, e.message);
	if (result == 0 && (c->after == NULL || strcmp(received(&p), c->after) != 0))
		fail_msg("%s: came '%s'", c->what, received(&p));
	if (p.ended != (result == 0))
		fail_msg("%s: END_REQUEST came, or not", c->what);
	if (p.request.cut != c->cut)
		fail_msg("%s: %d bytes cut", c->what, (int)p.request.cut);
	end(&p);
}

static void a_reply_is_held_let_go_cut_or_refused_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		check(&cases[i]);
}

static void what_is_lazy_is_sent_when_it_is_flushed_and_not_said_to_be_before(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, "GET", false);
	p.reply.buffer = 0;
	p.reply.lazy = true;
	feed(&p, "Status: 201 Made\nContent-Length: 4\n\npage");
	assert_string_equal(received(&p), "");
	assert_false(cgi_reply_is_sent(&p.reply));
	assert_int_equal(p.sent, 0);
	cgi_reply_flush(&p.reply);
	assert_string_equal(received(&p), "Status: 201 Made\r\nContent-Length: 4\r\n\r\npage");
	assert_true(cgi_reply_is_sent(&p.reply));
	assert_int_equal(p.sent, 201);
	end(&p);
}

static void a_client_that_has_gone_has_no_whole_reply(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, "GET", false);
	p.reply.buffer = 0;
	fd_close(&p.client);
	feed(&p, "Content-Length: 4\n\npage");
	assert_true(p.request.response.failed);
	assert_false(cgi_reply_is_sent(&p.reply));
	assert_int_equal(p.sent, 0);
	end(&p);
}

static void a_header_that_is_left_out_is_named(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, "GET", false);
	feed(&p, "connection: close\nA: b\n\n");
	assert_string_equal(p.request.dropped, "Connection");
	end(&p);
}

/* Without an end that comes there is no reply, however the bytes come. */
static void a_header_block_without_end_is_given_up_at_its_limit(void **state)
{
	(void)state;
	for (int relay = 0; relay <= 1; relay++) {
		size_t most = cgi_header_most(relay ? REPLY_FOR_FOSSIL : REPLY_FOR_WEB_SERVER);
		struct error e = {""};
		struct pair p;
		size_t size = 0;
		int result = 0;

		begin(&p, "GET", relay);
		while (result == 0 && size <= most) {
			result = cgi_reply_feed(&p.reply, "A: b\nC: d\n", 10, &e);
			size += result == 0 ? 10 : 0;
		}
		assert_int_equal(result, -1);
		assert_true(size <= most && size + 10 > most);
		assert_non_null(strstr(e.message, "the header block is longer than"));
		assert_true(p.reply.block.size <= most + 10);
		end(&p);
	}
}

/*
 * From its offset; *left: where that is afterwards; *is_sent: the client has it, before anything
 * more is done for it. The bytes of the body that were sent.
 */
static const char *send_file(
    struct pair *p, uint64_t size, int expected, off_t *left, bool *is_sent)
{
	int file = fd_memory_file("unit");
	const char *body;

	assert_int_equal(fd_write_all(file, "0123456789", 10), 0);
	lseek(file, 2, SEEK_SET);
	assert_int_equal(cgi_reply_send_file(&p->reply, file, size), expected);
	assert_true(expected == 0 || errno == EINVAL);
	*left = lseek(file, 0, SEEK_CUR);
	*is_sent = atomic_load(&p->sent) != 0;
	fd_close(&file);
	cgi_reply_flush(&p->reply);
	body = strstr(received(p), "\r\n\r\n");
	return body != NULL ? body + 4 : "";
}

static void a_file_is_sent_to_its_end_or_to_the_length(void **state)
{
	static const struct {
		const char *method, *head;
		uint64_t size;
		const char *sent;
		uint64_t cut;
		off_t left;
		bool is_sent;
	} files[] = {
	    {"GET", "A: b\n\n", UINT64_MAX, "23456789", 0, 10, false},
	    {"GET", "A: b\n\n", 3, "234", 0, 5, false},
	    {"GET", "Content-Length: 8\n\n", UINT64_MAX, "23456789", 0, 10, true},
	    {"GET", "Content-Length: 3\n\n", UINT64_MAX, "234", 5, 5, false},
	    {"GET", "Content-Length: 3\n\n", 4, "234", 1, 5, false},
	    {"GET", "Content-Length: 4\n\nxx", UINT64_MAX, "xx23", 6, 4, false},
	    {"GET", "Content-Length: 0\n\n", UINT64_MAX, "", 8, 2, false},
	    {"GET", "Status: 304 N\n\n", UINT64_MAX, "", 8, 2, false},
	    {"HEAD", "Content-Length: 8\n\n", UINT64_MAX, "", 0, 2, false},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(files); i++) {
		struct error e;
		struct pair p;
		off_t left;
		bool is_sent;

		begin(&p, files[i].method, false);
		p.reply.buffer = 0;
		p.reply.lazy = true;
		feed(&p, files[i].head);
		assert_string_equal(
		    send_file(&p, files[i].size, 0, &left, &is_sent), files[i].sent);
		assert_int_equal(is_sent, files[i].is_sent);
		assert_int_equal(p.request.cut, files[i].cut);
		assert_int_equal(left, files[i].left);
		assert_int_equal(cgi_reply_finish(&p.reply, &e), 0);
		assert_non_null(strstr(received(&p), "\r\n\r\n"));
		assert_true(p.ended);
		end(&p);
	}
}

static void a_file_without_a_header_or_for_fossil_is_not_sent(void **state)
{
	struct pair p;
	off_t left;
	bool is_sent;

	(void)state;
	begin(&p, "GET", false);
	assert_string_equal(send_file(&p, 3, -1, &left, &is_sent), "");
	assert_int_equal(left, 2);
	end(&p);
	begin(&p, "GET", true);
	feed(&p, "A: b\n\n");
	assert_string_equal(send_file(&p, 3, -1, &left, &is_sent), "");
	assert_int_equal(left, 2);
	end(&p);
}

static void a_page_of_the_hosts_own_has_a_status_its_reason_and_no_body_to_head(void **state)
{
	static const int statuses[] = {400, 404, 408, 413, 431, 500, 503, 504};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(statuses); i++) {
		char first[64];
		struct pair p;
		const char *page;

		snprintf(first, sizeof(first), "Status: %d %s\r\n", statuses[i],
		    cgi_header_reason(statuses[i]));
		begin(&p, i % 2 == 0 ? "GET" : "HEAD", false);
		error_page_send(&p.request, statuses[i], "<detail>", 8);
		page = received(&p);
		assert_memory_equal(page, first, strlen(first));
		assert_true(p.ended && p.request.status == statuses[i]);
		assert_int_equal(strstr(page, "&lt;detail&gt;") != NULL, i % 2 == 0);
		assert_int_equal(strcmp(strstr(page, "\r\n\r\n"), "\r\n\r\n") == 0, i % 2 == 1);
		assert_int_equal(strstr(page, "Retry-After") != NULL, statuses[i] == 503);
		end(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_reply_is_held_let_go_cut_or_refused_as_the_table_says),
	    cmocka_unit_test(what_is_lazy_is_sent_when_it_is_flushed_and_not_said_to_be_before),
	    cmocka_unit_test(a_client_that_has_gone_has_no_whole_reply),
	    cmocka_unit_test(a_header_that_is_left_out_is_named),
	    cmocka_unit_test(a_header_block_without_end_is_given_up_at_its_limit),
	    cmocka_unit_test(a_file_is_sent_to_its_end_or_to_the_length),
	    cmocka_unit_test(a_file_without_a_header_or_for_fossil_is_not_sent),
	    cmocka_unit_test(a_page_of_the_hosts_own_has_a_status_its_reason_and_no_body_to_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
