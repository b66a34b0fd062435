/* A request decoded from bytes that were taken off the connection. */
#include "base/clock.h"
#include "unit.h"

#include "base/buffer.h"
#include "base/error.h"
#include "config/config.h"
#include "net/wire_check.h"
#include "request/request.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void put_pair(struct buffer *block, const char *name, const char *value)
{
	unsigned char pair[256];
	const struct wire_param p = {.name = (const unsigned char *)name,
	    .name_size = strlen(name),
	    .value = (const unsigned char *)value,
	    .value_size = strlen(value)};

	assert_int_equal(buffer_append(block, pair, wire_param_write(pair, sizeof(pair), &p)), 0);
}

static void put_record(struct buffer *out, enum wire_type type, const void *content, size_t size)
{
	static const char zeros[8];
	unsigned char header[WIRE_HEADER];

	wire_record_write(header, type, 1, size);
	assert_int_equal(buffer_append(out, header, sizeof(header)), 0);
	assert_int_equal(buffer_append(out, content, size), 0);
	assert_int_equal(buffer_append(out, zeros, wire_padding(size)), 0);
}

static void the_role_of_the_request_is_no_variable(void **state)
{
	static const struct wire_rules rules = {.max_params = 4096, .max_head = 131072};
	static const struct config config = {.max_header = 4096};
	struct wire_check check = {.rules = &rules};
	struct buffer block = {0}, taken = {0};
	struct request r = {.body = -1};
	struct request_taken t;
	struct error e = {""};
	unsigned char begin[WIRE_FIXED], buffer[64];

	(void)state;
	put_pair(&block, "FCGI_ROLE", "FILTER");
	put_pair(&block, "FCGI_ROLES", "1");
	buffer_append(&taken, begin, wire_begin_write(begin, 1, WIRE_RESPONDER, 0));
	put_record(&taken, WIRE_PARAMS, block.data, block.size);
	put_record(&taken, WIRE_PARAMS, NULL, 0);
	put_record(&taken, WIRE_STDIN, NULL, 0);
	assert_int_equal(wire_check(&check, (unsigned char *)taken.data, taken.size), WIRE_READY);
	assert_int_equal(request_taken_begin(&r, &t, &taken, &check, &config, &e), REQUEST_MORE);
	assert_int_equal(request_taken_read(&r, &t, &taken, buffer, sizeof(buffer), &e), 0);
	assert_int_equal(r.variables.count, 1);
	assert_string_equal(r.variables.items[0], "FCGI_ROLES=1");
	assert_int_equal(taken.size, 0);
	request_release(&r);
	buffer_release(&taken);
	buffer_release(&block);
}

/* A request whose body comes, and both ends of its connection. */
struct coming {
	struct config config;
	struct request r;
	struct request_taken t;
	struct buffer taken;
	struct error e;
	int client;
};

static void begin_coming(struct coming *c, const char *length)
{
	static const struct wire_rules rules = {.max_params = 4096, .max_head = 131072};
	struct wire_check check = {.rules = &rules};
	struct buffer block = {0};
	unsigned char begin[WIRE_FIXED];
	int ends[2];

	*c = (struct coming){.config = {.max_header = 4096,
				 .body_timeout = 10,
				 .tmpdir = (char *)"/tmp",
				 .limits = {.max_body = 100000}},
	    .r = {.body = -1, .began = clock_now()}};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	c->r.response.fd = ends[0];
	c->r.response.request_id = 1;
	c->client = ends[1];
	put_pair(&block, "CONTENT_LENGTH", length);
	buffer_append(&c->taken, begin, wire_begin_write(begin, 1, WIRE_RESPONDER, 0));
	put_record(&c->taken, WIRE_PARAMS, block.data, block.size);
	put_record(&c->taken, WIRE_PARAMS, NULL, 0);
	assert_int_equal(
	    wire_check(&check, (unsigned char *)c->taken.data, c->taken.size), WIRE_READY);
	assert_int_equal(
	    request_taken_begin(&c->r, &c->t, &c->taken, &check, &c->config, &c->e), REQUEST_MORE);
	buffer_release(&block);
}

static int read_coming(struct coming *c)
{
	unsigned char buffer[64];

	return request_taken_read(&c->r, &c->t, &c->taken, buffer, sizeof(buffer), &c->e);
}

static void send_coming(const struct coming *c, enum wire_type type, const void *data, size_t size)
{
	struct buffer out = {0};

	put_record(&out, type, data, size);
	assert_int_equal(send(c->client, out.data, out.size, 0), (ssize_t)out.size);
	buffer_release(&out);
}

static void end_coming(struct coming *c)
{
	close(c->client);
	close(c->r.response.fd);
	request_release(&c->r);
	buffer_release(&c->taken);
}

static void a_body_is_due_after_its_time_and_a_second_for_each_whole_kib(void **state)
{
	const struct config config = {.body_timeout = 60};
	const struct request r = {.began = 5000000000};

	(void)state;
	assert_int_equal(
	    request_body_due(&r, &(struct request_body){.seen = 1023}, &config), 65000000000);
	assert_int_equal(
	    request_body_due(&r, &(struct request_body){.seen = 4095}, &config), 68000000000);
}

static void what_has_not_come_is_waited_for_until_it_is_due(void **state)
{
	struct coming c;

	(void)state;
	begin_coming(&c, "4");
	assert_int_equal(read_coming(&c), REQUEST_MORE);
	send_coming(&c, WIRE_STDIN, "bo", 2);
	assert_int_equal(read_coming(&c), REQUEST_MORE);
	c.r.began -= 11000000000;
	assert_int_equal(read_coming(&c), 408);
	assert_non_null(strstr(c.e.message, "2 bytes"));
	end_coming(&c);
}

static void a_body_that_came_in_the_last_moment_is_taken(void **state)
{
	struct coming c;

	(void)state;
	begin_coming(&c, "4");
	send_coming(&c, WIRE_STDIN, "body", 4);
	c.r.began -= 11000000000;
	assert_int_equal(read_coming(&c), 0);
	assert_int_equal(c.r.body_size, 4);
	end_coming(&c);
}

static void records_without_end_that_are_no_body_are_not_read_when_it_is_due(void **state)
{
	static const char other[1000];
	struct coming c;
	char byte;

	(void)state;
	begin_coming(&c, "4");
	for (int i = 0; i < 20; i++)
		send_coming(&c, WIRE_DATA, other, sizeof(other));
	c.r.began -= 11000000000;
	assert_int_equal(read_coming(&c), 408);
	assert_int_equal(recv(c.r.response.fd, &byte, 1, MSG_DONTWAIT), 1);
	end_coming(&c);
}

static void a_client_that_ends_within_its_body_has_cut_it(void **state)
{
	struct coming c;

	(void)state;
	begin_coming(&c, "");
	send_coming(&c, WIRE_STDIN, "body", 4);
	shutdown(c.client, SHUT_WR);
	assert_int_equal(read_coming(&c), 400);
	assert_non_null(strstr(c.e.message, "after 4 bytes"));
	end_coming(&c);
}

static void only_the_rest_of_its_own_stream_is_taken_off_while_a_request_is_answered(void **state)
{
	struct coming c;

	(void)state;
	begin_coming(&c, "0");
	assert_int_equal(read_coming(&c), 0);
	assert_int_equal(request_listen(&c.r), REQUEST_HEARD_NOTHING);
	send_coming(&c, WIRE_STDIN, "more", 4);
	send_coming(&c, WIRE_STDIN, NULL, 0);
	assert_int_equal(request_listen(&c.r), REQUEST_HEARD_NOTHING);
	send_coming(&c, WIRE_ABORT_REQUEST, NULL, 0);
	assert_int_equal(request_listen(&c.r), REQUEST_HEARD_ABORT);
	c.r.response.request_id = 2;
	assert_int_equal(request_listen(&c.r), REQUEST_HEARD_OTHER);
	assert_int_equal(c.r.behind.size, WIRE_HEADER);
	end_coming(&c);
}

/* The guardian of a direct worker sees the bytes that the worker has taken, and the connection. */
static bool is_aborted(const struct coming *c)
{
	return request_is_aborted(
	    c->r.response.fd, 1, (const unsigned char *)c->r.behind.data, c->r.behind.size);
}

static void an_abort_that_comes_in_two_pieces_is_heard(void **state)
{
	unsigned char abort[WIRE_HEADER];

	(void)state;
	wire_record_write(abort, WIRE_ABORT_REQUEST, 1, 0);
	for (size_t cut = 1; cut < WIRE_HEADER; cut++) {
		struct coming c;

		begin_coming(&c, "0");
		assert_int_equal(read_coming(&c), 0);
		assert_int_equal(send(c.client, abort, cut, 0), (ssize_t)cut);
		assert_int_equal(request_listen(&c.r), REQUEST_HEARD_NOTHING);
		assert_false(is_aborted(&c));
		assert_int_equal(send(c.client, abort + cut, WIRE_HEADER - cut, 0),
		    (ssize_t)(WIRE_HEADER - cut));
		assert_true(is_aborted(&c));
		assert_int_equal(request_listen(&c.r), REQUEST_HEARD_ABORT);
		end_coming(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_role_of_the_request_is_no_variable),
	    cmocka_unit_test(a_body_is_due_after_its_time_and_a_second_for_each_whole_kib),
	    cmocka_unit_test(what_has_not_come_is_waited_for_until_it_is_due),
	    cmocka_unit_test(a_body_that_came_in_the_last_moment_is_taken),
	    cmocka_unit_test(records_without_end_that_are_no_body_are_not_read_when_it_is_due),
	    cmocka_unit_test(a_client_that_ends_within_its_body_has_cut_it),
	    cmocka_unit_test(
		only_the_rest_of_its_own_stream_is_taken_off_while_a_request_is_answered),
	    cmocka_unit_test(an_abort_that_comes_in_two_pieces_is_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
