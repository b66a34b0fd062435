/*
 * What a late client is to take of a reply that was cut, a second at a time. The clock can be set
 * on.
 */
#include "base/clock.h"
#include "unit.h"

#include "base/fd.h"
#include "direct/late_clients.h"
#include "net/response.h"
#include "net/wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LEFT "the rest of a record"

static struct {
	struct late_clients cuts;
	struct response response;
	int client;
	uint64_t clock_offset; /* nanoseconds */
} t;

/* In the place of the C library's: it goes on when a test says so. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	uint64_t time = 1000 * CLOCK_SECOND + t.clock_offset;

	(void)clock;
	*now = (struct timespec){
	    .tv_sec = (time_t)(time / CLOCK_SECOND), .tv_nsec = (long)(time % CLOCK_SECOND)};
	return 0;
}

/* A response that was late. Its client has taken nothing, and the socket between them is full. */
static int begin(void **state)
{
	static const char zeros[4096];
	int ends[2];

	(void)state;
	memset(&t, 0, sizeof(t));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	t.client = ends[1];
	t.response =
	    (struct response){.fd = ends[0], .fastcgi = true, .request_id = 1, .late = true};
	assert_int_equal(buffer_append(&t.response.left, LEFT, strlen(LEFT)), 0);
	while (send(ends[0], zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
	return 0;
}

static int end(void **state)
{
	(void)state;
	response_release(&t.response);
	fd_close(&t.response.fd);
	fd_close(&t.client);
	t.clock_offset += 3600 * CLOCK_SECOND;
	assert_false(late_clients_go_on(&t.cuts));
	return 0;
}

/* The worker hands its connection over and closes its own descriptor of it. */
static void add(void)
{
	late_clients_add(&t.cuts, &t.response);
	fd_close(&t.response.fd);
}

/*
 * What the client takes now, behind the zeros. *ended: that was all, and the connection is closed.
 */
static size_t take(unsigned char *bytes, size_t size, bool *ended)
{
	unsigned char piece[65536];
	size_t have = 0;
	ssize_t n;

	while ((n = recv(t.client, piece, sizeof(piece), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++)
			if ((have > 0 || piece[i] != 0) && have < size)
				bytes[have++] = piece[i];
	*ended = n == 0;
	return have;
}

static void a_client_that_takes_nothing_yet_is_waited_for(void **state)
{
	const size_t size = strlen(LEFT) + WIRE_HEADER;
	unsigned char bytes[256];
	struct wire_header header;
	bool ended;

	(void)state;
	add();
	for (int second = 1; second < 60; second++) {
		t.clock_offset = (uint64_t)second * CLOCK_SECOND;
		assert_true(late_clients_go_on(&t.cuts));
	}
	assert_int_equal(take(bytes, sizeof(bytes), &ended), 0);
	assert_false(ended);
	assert_false(late_clients_go_on(&t.cuts));
	assert_int_equal(take(bytes, sizeof(bytes), &ended), size);
	assert_true(ended);
	assert_memory_equal(bytes, LEFT, strlen(LEFT));
	wire_header_read(bytes + strlen(LEFT), &header);
	assert_int_equal(header.type, WIRE_POISON);
}

static void one_that_takes_nothing_for_a_minute_is_closed(void **state)
{
	unsigned char bytes[256];
	bool ended;

	(void)state;
	add();
	t.clock_offset = 60 * CLOCK_SECOND;
	assert_false(late_clients_go_on(&t.cuts));
	assert_int_equal(take(bytes, sizeof(bytes), &ended), 0);
	assert_true(ended);
}

static void one_that_has_gone_is_forgotten(void **state)
{
	(void)state;
	add();
	fd_close(&t.client);
	assert_false(late_clients_go_on(&t.cuts));
	assert_int_equal(t.cuts.count, 0);
}

static void one_too_many_is_closed_at_once(void **state)
{
	unsigned char bytes[256];
	bool ended;

	(void)state;
	t.cuts.count = LATE_CLIENTS_MAX;
	add();
	assert_int_equal(t.cuts.count, LATE_CLIENTS_MAX);
	t.cuts.count = 0;
	assert_int_equal(take(bytes, sizeof(bytes), &ended), 0);
	assert_true(ended);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_client_that_takes_nothing_yet_is_waited_for),
	    TEST(one_that_takes_nothing_for_a_minute_is_closed),
	    TEST(one_that_has_gone_is_forgotten),
	    TEST(one_too_many_is_closed_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
