/*
 * How long a client may take nothing, and what is kept of a reply then. No test waits: poll(2)
 * is ours.
 */
#include "base/clock.h"
#include "unit.h"

#include "base/fd.h"
#include "net/response.h"
#include "net/wire.h"
#include "request/request.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	struct response response;
	int client;
	int polls, timeout;
	int shrinks; /* -1, or a file that is empty from the first wait on */
	size_t room; /* the client takes so much when it is waited for; 0: nothing */
} t;

/* In the place of the C library's. */
int poll(struct pollfd *events, nfds_t count, int timeout)
{
	char bytes[4096];
	size_t taken = 0;
	ssize_t n = 1;

	assert_int_equal(count, 1);
	if (t.shrinks >= 0)
		assert_int_equal(ftruncate(t.shrinks, 0), 0);
	t.polls++;
	t.timeout = timeout;
	while (taken < t.room && n > 0) {
		n = recv(t.client, bytes, sizeof(bytes), MSG_DONTWAIT);
		taken += n > 0 ? (size_t)n : 0;
	}
	events[0].revents = POLLOUT;
	return taken > 0 ? 1 : 0;
}

static int begin(void **state)
{
	int ends[2];

	(void)state;
	memset(&t, 0, sizeof(t));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	t.response = (struct response){.fd = ends[0], .fastcgi = true, .request_id = 1};
	t.client = ends[1];
	t.shrinks = -1;
	return 0;
}

static int end(void **state)
{
	(void)state;
	response_release(&t.response);
	fd_close(&t.response.fd);
	fd_close(&t.client);
	return 0;
}

/* More than the socket holds. */
static void write_much(void)
{
	char *bytes = calloc(1, 4 << 20);

	assert_non_null(bytes);
	response_write(&t.response, bytes, 4 << 20);
	free(bytes);
}

static void a_client_that_takes_something_now_and_then_is_waited_for(void **state)
{
	(void)state;
	t.room = 65536;
	write_much();
	assert_false(t.response.failed);
	assert_false(t.response.late);
	assert_true(t.polls > 1);
	assert_int_equal(t.timeout, 60000);
}

static void one_that_takes_nothing_for_a_minute_is_given_up(void **state)
{
	(void)state;
	write_much();
	assert_int_equal(t.polls, 1);
	assert_int_equal(t.timeout, 60000);
	assert_true(t.response.failed);
	assert_true(t.response.late);
	assert_true(t.response.left.size > 0);
}

static void it_is_waited_for_until_the_deadline_and_no_longer(void **state)
{
	(void)state;
	t.response.deadline = clock_now() + 20 * CLOCK_SECOND;
	write_much();
	assert_in_range(t.timeout, 1, 20001);
	assert_true(t.response.late);
}

static void a_deadline_that_is_far_makes_no_wait_longer(void **state)
{
	(void)state;
	t.response.deadline = clock_now() + 3600 * CLOCK_SECOND;
	write_much();
	assert_int_equal(t.timeout, 60000);
}

static void beyond_the_deadline_it_is_not_waited_for(void **state)
{
	(void)state;
	t.room = 65536;
	t.response.deadline = clock_now() - CLOCK_SECOND;
	write_much();
	assert_int_equal(t.polls, 0);
	assert_true(t.response.failed);
	assert_true(t.response.late);
}

static void a_client_that_is_gone_has_failed_and_is_not_late(void **state)
{
	(void)state;
	fd_close(&t.client);
	write_much();
	assert_true(t.response.failed);
	assert_false(t.response.late);
	assert_int_equal(t.polls, 0);
	assert_int_equal(t.response.left.size, 0);
}

static void what_a_client_that_is_gone_was_not_sent_is_not_counted(void **state)
{
	(void)state;
	fd_close(&t.client);
	write_much();
	assert_in_range(t.response.sent, 0, 65535);
}

/*
 * What has begun is completed, then comes the sign that the reply is none: at a record's boundary.
 */
static void a_late_one_is_cut_at_the_end_of_a_record(void **state)
{
	unsigned char header[WIRE_HEADER], bytes[65536];
	struct wire_header h = {0};
	struct buffer all = {0};
	size_t at = 0;
	ssize_t n;

	(void)state;
	write_much();
	assert_true(t.response.late);
	t.room = SIZE_MAX;
	/* It takes all that is there, and more as it comes. */
	while ((n = recv(t.client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		buffer_append(&all, bytes, (size_t)n);
	response_cut(&t.response);
	while ((n = recv(t.client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		buffer_append(&all, bytes, (size_t)n);
	while (at + WIRE_HEADER <= all.size) {
		memcpy(header, all.data + at, WIRE_HEADER);
		wire_header_read(header, &h);
		at += WIRE_HEADER + (size_t)h.content + h.padding;
		if (h.type == WIRE_POISON)
			break;
		assert_int_equal(h.version, WIRE_VERSION);
		assert_int_equal(h.type, WIRE_STDOUT);
	}
	assert_int_equal(h.type, WIRE_POISON);
	assert_int_equal(at, all.size);
	buffer_release(&all);
}

/* What was late has a minute more for the rest of its record and the sign behind it. */
static void a_late_one_is_waited_for_with_its_cut(void **state)
{
	(void)state;
	t.response.deadline = clock_now() - CLOCK_SECOND;
	write_much();
	assert_true(t.response.late);
	assert_int_equal(t.polls, 0);
	t.room = SIZE_MAX;
	response_cut(&t.response);
	assert_int_equal(t.polls, 1);
	assert_int_equal(t.timeout, 60000);
	assert_false(t.response.failed);
}

/*
 * Its record is brought to its end, so that the cut behind it is understood. The client is not at
 * fault.
 */
static void a_file_that_shrinks_while_it_is_sent_can_be_cut(void **state)
{
	int file = fd_memory_file("unit");
	uint64_t size = 4 << 20;

	(void)state;
	assert_int_equal(ftruncate(file, (off_t)size), 0);
	assert_int_equal(fd_set_nonblocking(t.response.fd, true), 0);
	t.room = SIZE_MAX;
	t.shrinks = file;
	assert_int_equal(response_send_file(&t.response, file, &size), -1);
	assert_int_equal(errno, EIO);
	assert_true(size < 4 << 20);
	assert_false(t.response.failed);
	assert_false(t.response.late);
	response_cut(&t.response);
	assert_false(t.response.failed);
	fd_close(&file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_client_that_takes_something_now_and_then_is_waited_for),
	    TEST(one_that_takes_nothing_for_a_minute_is_given_up),
	    TEST(it_is_waited_for_until_the_deadline_and_no_longer),
	    TEST(a_deadline_that_is_far_makes_no_wait_longer),
	    TEST(beyond_the_deadline_it_is_not_waited_for),
	    TEST(a_client_that_is_gone_has_failed_and_is_not_late),
	    TEST(what_a_client_that_is_gone_was_not_sent_is_not_counted),
	    TEST(a_late_one_is_cut_at_the_end_of_a_record),
	    TEST(a_late_one_is_waited_for_with_its_cut),
	    TEST(a_file_that_shrinks_while_it_is_sent_can_be_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
