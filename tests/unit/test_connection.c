/*
 * Whose a connection is, how long it may wait, and what is made of the bytes at its head. Each has
 * a client on the other end of a pair of sockets.
 */
#include "base/clock.h"
#include "unit.h"

#include "base/error.h"
#include "net/connection.h"
#include "net/listen.h"
#include "net/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct listener listener = {.fd = -1};

static struct {
	int epoll;
	struct wire_rules rules;
	struct connections *connections;
	unsigned char *buffer;
	int clients[4];
	size_t count;
} t;

/* As in the front, they live as long as the program. */
static struct {
	struct connections *all[64];
	size_t count;
} before;

static int begin(void **state)
{
	(void)state;
	t.count = 0;
	t.rules = (struct wire_rules){
	    .max_params = 4096, .max_head = 8192, .max_ignored = 4, .max_conns = 3, .max_reqs = 3};
	t.epoll = epoll_create1(EPOLL_CLOEXEC);
	t.connections = before.all[before.count++] = connections_create(3, t.epoll, &t.rules);
	t.buffer = malloc(t.rules.max_head);
	return t.connections != NULL && t.buffer != NULL ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	for (size_t i = 0; i < t.count; i++)
		close(t.clients[i]);
	free(t.buffer);
	close(t.epoll);
	return 0;
}

/* The connection of a new client, the descriptor of whose end is put into *client. */
static struct connection *come(int *client)
{
	struct connection *c;
	int ends[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	*client = t.clients[t.count++] = ends[1];
	c = connections_add(t.connections, ends[0], &listener);
	if (c == NULL)
		close(ends[0]);
	return c;
}

/* The tag of the event that is there; 0: none is. */
static uint64_t event(void)
{
	struct epoll_event event;

	return epoll_wait(t.epoll, &event, 1, 0) == 1 ? event.data.u64 : 0;
}

static uint64_t tag_of(const struct connection *c)
{
	return (uint64_t)c->generation << 32 | c->index;
}

static void put(int client, const void *bytes, size_t size)
{
	assert_int_equal(send(client, bytes, size, MSG_NOSIGNAL), size);
}

static enum connection_look look(struct connection *c, struct error *e)
{
	int status = 0;

	return connection_look(c, t.buffer, &status, e);
}

static bool has_ended(int client)
{
	char byte;

	return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
}

/* A whole request without a body. */
static size_t write_request(unsigned char *bytes)
{
	unsigned char *at = bytes + WIRE_FIXED + WIRE_HEADER;
	const struct wire_param param = {.name = (const unsigned char *)"SCRIPT_NAME",
	    .name_size = 11,
	    .value = (const unsigned char *)"/page.tiny",
	    .value_size = 10};
	size_t content = wire_param_write(at, 64, &param), padding = wire_padding(content);

	wire_begin_write(bytes, 1, WIRE_RESPONDER, WIRE_KEEP_CONN);
	wire_record_write(bytes + WIRE_FIXED, WIRE_PARAMS, 1, content);
	memset(at + content, 0, padding);
	at += content + padding;
	at += wire_record_write(at, WIRE_PARAMS, 1, 0);
	at += wire_record_write(at, WIRE_STDIN, 1, 0);
	return (size_t)(at - bytes);
}

static void a_full_table_takes_nobody_until_one_has_left(void **state)
{
	struct connection *c[3];
	size_t open, parked;
	int client;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_non_null(c[i] = come(&client));
	assert_null(come(&client));
	connections_count(t.connections, &open, &parked);
	assert_int_equal(open, 3);
	assert_int_equal(parked, 0);
	t.count--;
	close(t.clients[t.count]);
	connections_close(t.connections, c[1]);
	assert_ptr_equal(come(&client), c[1]);
}

static void what_is_parked_is_claimed_by_one_alone(void **state)
{
	int client;
	struct connection *c = come(&client);
	size_t open, parked;

	(void)state;
	assert_true(connections_park(t.connections, c, 0));
	connections_count(t.connections, &open, &parked);
	assert_int_equal(parked, 1);
	assert_int_equal(event(), 0);
	put(client, "x", 1);
	assert_int_equal(event(), tag_of(c));
	assert_ptr_equal(connections_claim(t.connections, tag_of(c)), c);
	assert_null(connections_claim(t.connections, tag_of(c)));
	connections_count(t.connections, &open, &parked);
	assert_int_equal(parked, 0);
}

static void bytes_that_came_meanwhile_are_looked_at_before_it_is_parked(void **state)
{
	int client;
	struct connection *c = come(&client);

	(void)state;
	assert_true(connections_park(t.connections, c, 0));
	assert_ptr_equal(connections_claim(t.connections, tag_of(c)), c);
	assert_null(connections_claim(t.connections, tag_of(c)));
	assert_false(connections_park(t.connections, c, 0));
	assert_true(connections_park(t.connections, c, 0));
}

static void bytes_that_are_there_already_are_told_at_the_first_parking(void **state)
{
	int client;
	struct connection *c = come(&client);

	(void)state;
	put(client, "x", 1);
	assert_true(connections_park(t.connections, c, 0));
	assert_int_equal(event(), tag_of(c));
}

static void a_late_event_of_a_connection_that_is_closed_finds_nobody(void **state)
{
	int client;
	struct connection *c = come(&client);
	uint64_t tag = tag_of(c);

	(void)state;
	assert_true(connections_park(t.connections, c, 0));
	assert_ptr_equal(connections_claim(t.connections, tag), c);
	connections_close(t.connections, c);
	assert_null(connections_claim(t.connections, tag));
	assert_ptr_equal(come(&client), c);
	assert_true(connections_park(t.connections, c, 0));
	assert_null(connections_claim(t.connections, tag));
	assert_ptr_equal(connections_claim(t.connections, tag_of(c)), c);
}

static void beyond_its_deadline_an_event_comes_and_not_before(void **state)
{
	int client;
	struct connection *c = come(&client);

	(void)state;
	assert_true(connections_park(t.connections, c, 10 * CLOCK_SECOND));
	assert_int_equal(event(), 0);
	connections_expire(t.connections, 9 * CLOCK_SECOND);
	assert_int_equal(event(), 0);
	connections_expire(t.connections, 10 * CLOCK_SECOND);
	assert_int_equal(event(), tag_of(c));
	assert_ptr_equal(connections_claim(t.connections, tag_of(c)), c);
	assert_false(has_ended(client));
}

/* Nothing can be answered there. */
static void beyond_its_deadline_a_client_that_reads_nothing_is_shut_down(void **state)
{
	static const char bytes[4096];
	int client;
	struct connection *c = come(&client);

	(void)state;
	while (send(c->fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		;
	assert_true(connections_park(t.connections, c, 10 * CLOCK_SECOND));
	assert_int_equal(event(), 0);
	connections_expire(t.connections, 11 * CLOCK_SECOND);
	while (recv(client, (char[4096]){0}, 4096, MSG_DONTWAIT) > 0)
		;
	assert_true(has_ended(client));
}

static void without_a_deadline_it_stays(void **state)
{
	int client;
	struct connection *c = come(&client);

	(void)state;
	assert_true(connections_park(t.connections, c, 0));
	assert_false(connections_expire(t.connections, UINT64_MAX));
	assert_int_equal(event(), 0);
	assert_false(has_ended(client));
}

static void what_a_thread_has_is_not_disturbed_at_its_deadline(void **state)
{
	int client;
	struct connection *c = come(&client);

	(void)state;
	assert_true(connections_park(t.connections, c, 10 * CLOCK_SECOND));
	assert_ptr_equal(connections_claim(t.connections, tag_of(c)), c);
	assert_false(connections_expire(t.connections, 11 * CLOCK_SECOND));
	assert_int_equal(event(), 0);
	assert_false(has_ended(client));
}

static void a_head_that_has_begun_has_a_deadline_and_an_idle_one_none(void **state)
{
	unsigned char bytes[256];
	int client;
	struct connection *c = come(&client);
	uint64_t now = clock_now();
	struct error e;

	(void)state;
	assert_int_equal(look(c, &e), LOOK_WAIT);
	assert_int_equal(connection_deadline(c, now), 0);
	write_request(bytes);
	put(client, bytes, 5);
	assert_int_equal(look(c, &e), LOOK_WAIT);
	assert_int_equal(
	    connection_deadline(c, now), now + CONNECTION_HEAD_TIMEOUT_S * CLOCK_SECOND);
	/* Else a byte now and then would move it on for ever. */
	assert_true(
	    connections_park(t.connections, c, now + CONNECTION_HEAD_TIMEOUT_S * CLOCK_SECOND));
	put(client, bytes + 5, 1);
	assert_ptr_equal(connections_claim(t.connections, tag_of(c)), c);
	assert_int_equal(look(c, &e), LOOK_WAIT);
	assert_int_equal(connection_deadline(c, now + 4 * CLOCK_SECOND),
	    now + CONNECTION_HEAD_TIMEOUT_S * CLOCK_SECOND);
	connection_next(c);
	assert_int_equal(connection_deadline(c, now + 4 * CLOCK_SECOND),
	    now + (4 + CONNECTION_HEAD_TIMEOUT_S) * CLOCK_SECOND);
}

static void only_what_has_begun_no_request_is_idle(void **state)
{
	unsigned char bytes[256];
	int busy, idle;
	struct connection *begun = come(&busy), *other = come(&idle);
	struct error e;

	(void)state;
	write_request(bytes);
	put(busy, bytes, 20);
	assert_int_equal(look(begun, &e), LOOK_WAIT);
	assert_true(connections_park(t.connections, begun, 0));
	assert_true(connections_park(t.connections, other, 0));
	assert_ptr_equal(connections_take_idle(t.connections), other);
	assert_null(connections_take_idle(t.connections));
	assert_true(connections_park(t.connections, other, 0));
	connections_expire_idle(t.connections, 0);
	assert_true(has_ended(idle));
	assert_false(has_ended(busy));
}

static void one_whose_rest_is_only_drained_is_idle_too(void **state)
{
	unsigned char bytes[256];
	int client;
	struct connection *c = come(&client);
	struct error e;

	(void)state;
	write_request(bytes);
	put(client, bytes, 20);
	assert_int_equal(look(c, &e), LOOK_WAIT);
	connection_leave(c, clock_now());
	assert_true(connections_park(t.connections, c, connection_drain(c, t.buffer, clock_now())));
	put(client, bytes, 1);
	connections_expire_idle(t.connections, 0);
	assert_int_equal(send(client, bytes, 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
}

static void a_whole_request_is_left_in_the_socket(void **state)
{
	unsigned char bytes[256], left[256];
	size_t size = write_request(bytes);
	int client;
	struct connection *c = come(&client);
	struct error e;

	(void)state;
	put(client, bytes, size);
	assert_int_equal(look(c, &e), LOOK_READY);
	assert_false(c->is_taken);
	assert_int_equal(recv(c->fd, left, sizeof(left), 0), size);
}

static void a_request_in_pieces_is_taken_and_ready_with_its_last(void **state)
{
	unsigned char bytes[256];
	size_t size = write_request(bytes) - WIRE_HEADER; /* its head: the body may come later */
	int client;
	struct connection *c = come(&client);
	struct error e;

	(void)state;
	for (size_t i = 0; i + 8 < size; i++) {
		put(client, bytes + i, 1);
		assert_int_equal(look(c, &e), LOOK_WAIT);
	}
	put(client, bytes + size - 8, 8);
	assert_int_equal(look(c, &e), LOOK_READY);
	assert_true(c->is_taken);
	assert_int_equal(c->taken.size, size);
	assert_memory_equal(c->taken.data, bytes, size);
}

static void a_client_that_ends_is_closed_and_one_that_ends_within_a_request_is_told(void **state)
{
	unsigned char bytes[256];
	int first, second;
	struct connection *quiet = come(&first), *cut = come(&second);
	struct error e;

	(void)state;
	assert_int_equal(shutdown(first, SHUT_WR), 0);
	assert_int_equal(look(quiet, &e), LOOK_CLOSE);
	assert_string_equal(e.message, "");
	write_request(bytes);
	put(second, bytes, 20);
	assert_int_equal(look(cut, &e), LOOK_WAIT);
	assert_int_equal(shutdown(second, SHUT_WR), 0);
	assert_int_equal(look(cut, &e), LOOK_CLOSE);
	assert_string_equal(e.message, "the client ended in the middle of a request");
}

/* A peer that is gone with bytes unread is a reset, and no reason to wait. */
static void a_connection_that_is_broken_is_closed(void **state)
{
	int client;
	struct connection *c = come(&client);
	struct error e;

	(void)state;
	assert_int_equal(send(c->fd, "unread", 6, 0), 6);
	t.count--;
	close(t.clients[t.count]);
	assert_int_equal(look(c, &e), LOOK_CLOSE);
}

static void after_a_request_the_bytes_of_the_next_are_kept(void **state)
{
	unsigned char bytes[512];
	size_t size = write_request(bytes);
	int client;
	struct connection *c = come(&client);
	struct error e;

	(void)state;
	memcpy(bytes + size, bytes, size);
	put(client, bytes, 2 * size);
	assert_int_equal(look(c, &e), LOOK_READY);
	assert_true(c->is_taken);
	buffer_consume(&c->taken, size);
	connection_next(c);
	assert_true(c->is_taken);
	assert_int_equal(look(c, &e), LOOK_READY);
	assert_int_equal(c->taken.size, size);
	buffer_consume(&c->taken, size);
	connection_next(c);
	assert_false(c->is_taken);
	assert_int_equal(look(c, &e), LOOK_WAIT);
}

static void park(struct connection *c)
{
	assert_true(connections_park(t.connections, c, connection_deadline(c, clock_now())));
}

static void the_oldest_connection_without_a_whole_head_makes_room(void **state)
{
	int idle, half, busy;
	struct connection *first = come(&half), *second = come(&idle), *third = come(&busy);
	struct error e;
	uint64_t now;

	(void)state;
	put(half, "\1", 1);
	assert_int_equal(look(first, &e), LOOK_WAIT);
	park(first);
	park(second);
	third->has_begun = true;
	park(third);
	now = clock_now();
	second->parked_at = now;
	/* None is old enough. */
	connections_make_room(t.connections, now);
	assert_false(has_ended(half) || has_ended(idle) || has_ended(busy));
	/* The head is the oldest, though its last piece may come now. */
	first->parked_at = now + CLOCK_SECOND;
	connections_make_room(t.connections, now + CLOCK_SECOND);
	assert_true(has_ended(half));
	assert_false(has_ended(idle) || has_ended(busy));
	connections_make_room(t.connections, now + CLOCK_SECOND);
	assert_true(has_ended(idle));
	/* A request whose body still comes keeps its place. */
	connections_make_room(t.connections, now + 3600 * CLOCK_SECOND);
	assert_false(has_ended(busy));
}

static void an_unfinished_head_that_made_room_says_so(void **state)
{
	int client;
	struct connection *c = come(&client);
	struct error e;

	(void)state;
	put(client, "\1", 1);
	assert_int_equal(look(c, &e), LOOK_WAIT);
	park(c);
	connections_make_room(t.connections, clock_now() + CLOCK_SECOND);
	assert_ptr_equal(connections_claim(t.connections, tag_of(c)), c);
	assert_int_equal(look(c, &e), LOOK_CLOSE);
	assert_string_equal(e.message, "another client takes the place of an unfinished request");
}

static void only_an_idle_connection_is_closed_for_another_of_a_direct_worker(void **state)
{
	int clients[3];
	struct connection *c[3];
	uint64_t much_later = clock_now() + 3600 * CLOCK_SECOND;
	struct error e;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(c); i++)
		c[i] = come(&clients[i]);
	put(clients[0], "\1", 1);
	assert_int_equal(look(c[0], &e), LOOK_WAIT);
	connection_leave(c[1], clock_now());
	for (size_t i = 0; i < UNIT_COUNT(c); i++)
		park(c[i]);
	assert_ptr_equal(connections_take_oldest_idle(t.connections, much_later), c[2]);
	assert_null(connections_take_oldest_idle(t.connections, much_later));
	/* The byte has come behind a request, and belongs to the next. */
	connection_next(c[0]);
	c[0]->deadline = clock_now();
	assert_null(connections_take_oldest_idle(t.connections, much_later));
}

static void a_connection_that_is_drained_makes_no_room(void **state)
{
	int client;
	struct connection *c = come(&client);

	(void)state;
	connection_leave(c, clock_now());
	park(c);
	connections_make_room(t.connections, clock_now() + 3600 * CLOCK_SECOND);
	assert_false(c->evicted);
}

static void a_connection_in_use_makes_no_room(void **state)
{
	int client;

	(void)state;
	come(&client);
	connections_make_room(t.connections, clock_now() + 3600 * CLOCK_SECOND);
	assert_false(has_ended(client));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_full_table_takes_nobody_until_one_has_left),
	    TEST(what_is_parked_is_claimed_by_one_alone),
	    TEST(bytes_that_came_meanwhile_are_looked_at_before_it_is_parked),
	    TEST(bytes_that_are_there_already_are_told_at_the_first_parking),
	    TEST(a_late_event_of_a_connection_that_is_closed_finds_nobody),
	    TEST(beyond_its_deadline_an_event_comes_and_not_before),
	    TEST(without_a_deadline_it_stays),
	    TEST(beyond_its_deadline_a_client_that_reads_nothing_is_shut_down),
	    TEST(what_a_thread_has_is_not_disturbed_at_its_deadline),
	    TEST(a_head_that_has_begun_has_a_deadline_and_an_idle_one_none),
	    TEST(only_what_has_begun_no_request_is_idle),
	    TEST(one_whose_rest_is_only_drained_is_idle_too),
	    TEST(a_whole_request_is_left_in_the_socket),
	    TEST(a_request_in_pieces_is_taken_and_ready_with_its_last),
	    TEST(a_client_that_ends_is_closed_and_one_that_ends_within_a_request_is_told),
	    TEST(a_connection_that_is_broken_is_closed),
	    TEST(after_a_request_the_bytes_of_the_next_are_kept),
	    TEST(the_oldest_connection_without_a_whole_head_makes_room),
	    TEST(an_unfinished_head_that_made_room_says_so),
	    TEST(only_an_idle_connection_is_closed_for_another_of_a_direct_worker),
	    TEST(a_connection_that_is_drained_makes_no_room),
	    TEST(a_connection_in_use_makes_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
