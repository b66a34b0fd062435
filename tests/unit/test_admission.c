/*
 * When the front listens: places are taken and given back, and events come as long as there are
 * any.
 */
#include "unit.h"

#include "base/error.h"
#include "config/config.h"
#include "front/admission.h"
#include "net/listen.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TAG 1000

static struct {
	int epoll;
	struct admission *accepting;
	struct listener listeners[3];
	size_t count;
} t;

/* As in the front, they live as long as the program. */
static struct {
	struct admission *all[32];
	size_t count;
} before;

/* A listener to which a client has connected already. */
static void listen_with_a_client(int app)
{
	struct listener *l = &t.listeners[t.count++];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(address);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*l = (struct listener){.app = app};
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The kernel chooses an abstract name. */
	assert_int_equal(bind(l->fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(l->fd, 5), 0);
	assert_int_equal(getsockname(l->fd, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
	close(client);
	assert_int_equal(admission_add(t.accepting, l), 0);
}

static int begin(size_t most)
{
	t.count = 0;
	t.epoll = epoll_create1(EPOLL_CLOEXEC);
	t.accepting = admission_create(t.epoll, TAG, most);
	return t.accepting != NULL ? 0 : -1;
}

static void end(void)
{
	before.all[before.count++] = t.accepting;
	for (size_t i = 0; i < t.count; i++)
		close(t.listeners[i].fd);
	close(t.epoll);
}

/* The index of the listener of which an event comes now; -1: none does. */
static int event(void)
{
	struct epoll_event event;

	if (epoll_wait(t.epoll, &event, 1, 0) != 1)
		return -1;
	assert_in_range(event.data.u64, TAG, TAG + t.count - 1);
	assert_ptr_equal(admission_listener(t.accepting, event.data.u64 - TAG),
	    &t.listeners[event.data.u64 - TAG]);
	return (int)(event.data.u64 - TAG);
}

static void one_event_comes_for_each_client_and_the_next_when_that_is_accepted(void **state)
{
	(void)state;
	begin(10);
	listen_with_a_client(0);
	assert_int_equal(event(), 0);
	assert_int_equal(event(), -1);
	admission_next(t.accepting, 0, true);
	assert_int_equal(event(), 0);
	end();
}

static void with_all_places_taken_no_event_comes_until_one_is_given_back(void **state)
{
	(void)state;
	begin(2);
	listen_with_a_client(0);
	listen_with_a_client(0);
	assert_true(admission_take(t.accepting));
	assert_true(admission_take(t.accepting));
	assert_true(event() >= 0);
	assert_false(admission_take(t.accepting));
	admission_next(t.accepting, 0, true);
	admission_next(t.accepting, 1, true);
	assert_int_equal(event(), -1);
	admission_look_again(t.accepting);
	assert_int_equal(event(), -1);
	admission_give_back(t.accepting);
	assert_true(event() >= 0);
	assert_true(event() >= 0);
	assert_int_equal(event(), -1);
	assert_true(admission_take(t.accepting));
	assert_false(admission_take(t.accepting));
	end();
}

static void after_a_pause_events_come_when_it_is_looked_again(void **state)
{
	(void)state;
	begin(10);
	listen_with_a_client(0);
	assert_true(admission_take(t.accepting));
	assert_int_equal(event(), 0);
	admission_pause(t.accepting);
	admission_next(t.accepting, 0, true);
	assert_int_equal(event(), -1);
	admission_look_again(t.accepting);
	assert_int_equal(event(), 0);
	end();
}

static void a_place_is_given_back_by_a_pause(void **state)
{
	(void)state;
	begin(1);
	listen_with_a_client(0);
	assert_true(admission_take(t.accepting));
	admission_pause(t.accepting);
	assert_true(admission_take(t.accepting));
	end();
}

static void the_listener_of_an_app_is_its_workers_until_somebody_stands_in(void **state)
{
	(void)state;
	begin(10);
	listen_with_a_client(1);
	listen_with_a_client(2);
	assert_int_equal(event(), -1);
	admission_stand_in(t.accepting, 2, true);
	assert_int_equal(event(), 1);
	admission_next(t.accepting, 0, true);
	assert_int_equal(event(), -1);
	admission_next(t.accepting, 1, true);
	assert_int_equal(event(), 1);
	admission_stand_in(t.accepting, 2, false);
	admission_next(t.accepting, 1, true);
	assert_int_equal(event(), -1);
	end();
}

static void a_listener_of_an_app_that_was_shut_down_is_silent_until_it_has_a_new_socket(
    void **state)
{
	int fd;

	(void)state;
	begin(10);
	listen_with_a_client(1);
	fd = t.listeners[0].fd;
	listen_with_a_client(1);
	assert_int_equal(event(), -1);
	/* A socket in order stays watched. */
	admission_next(t.accepting, 0, false);
	shutdown(fd, SHUT_RDWR);
	assert_int_equal(event(), 0);
	assert_int_equal(event(), 0);
	admission_next(t.accepting, 0, false);
	assert_int_equal(event(), -1);
	admission_replace(t.accepting, &t.listeners[0], t.listeners[1].fd);
	assert_int_equal(t.listeners[0].fd, fd);
	assert_int_equal(event(), -1);
	admission_stand_in(t.accepting, 1, true);
	assert_int_not_equal(event(), -1);
	end();
}

static void who_stands_in_waits_for_a_place_too(void **state)
{
	(void)state;
	begin(1);
	listen_with_a_client(1);
	assert_true(admission_take(t.accepting));
	assert_false(admission_take(t.accepting));
	admission_stand_in(t.accepting, 1, true);
	assert_int_equal(event(), -1);
	admission_give_back(t.accepting);
	assert_int_equal(event(), 0);
	end();
}

static void a_listener_that_comes_while_there_is_no_place_waits_too(void **state)
{
	(void)state;
	begin(1);
	assert_true(admission_take(t.accepting));
	assert_false(admission_take(t.accepting));
	listen_with_a_client(0);
	assert_int_equal(event(), -1);
	admission_give_back(t.accepting);
	assert_int_equal(event(), 0);
	end();
}

/* The kernel reports a hang-up whatever events are asked for. */
static void a_listener_that_was_shut_down_raises_no_more_events(void **state)
{
	(void)state;
	begin(10);
	listen_with_a_client(0);
	listen_with_a_client(7);
	for (size_t i = 0; i < t.count; i++)
		shutdown(t.listeners[i].fd, SHUT_RDWR);
	for (size_t i = 0; i < t.count; i++) {
		int index = event();

		assert_true(index >= 0);
		admission_next(t.accepting, (size_t)index, false);
	}
	assert_int_equal(event(), -1);
	admission_stand_in(t.accepting, 7, true);
	admission_look_again(t.accepting);
	assert_int_equal(event(), -1);
	end();
}

static void after_its_end_nobody_is_accepted(void **state)
{
	(void)state;
	begin(1);
	listen_with_a_client(0);
	assert_true(admission_take(t.accepting));
	assert_false(admission_take(t.accepting));
	admission_end(t.accepting);
	admission_give_back(t.accepting);
	assert_false(admission_take(t.accepting));
	admission_next(t.accepting, 0, true);
	admission_look_again(t.accepting);
	admission_stand_in(t.accepting, 0, true);
	assert_int_equal(event(), -1);
	end();
}

static void it_is_full_while_a_client_waits_for_a_place(void **state)
{
	(void)state;
	begin(1);
	assert_true(admission_take(t.accepting));
	assert_false(admission_is_full(t.accepting));
	assert_false(admission_take(t.accepting));
	assert_true(admission_is_full(t.accepting));
	admission_give_back(t.accepting);
	assert_false(admission_is_full(t.accepting));
	end();
}

static rlim_t soft_limit(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	return limit.rlim_cur;
}

static void the_soft_limit_of_descriptors_is_raised_as_far_as_necessary(void **state)
{
	const struct config config = {.concurrency = 1, .spares = 1};
	struct rlimit first, limit;
	struct error e;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &first), 0);
	limit = (struct rlimit){.rlim_cur = 20, .rlim_max = first.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	/* What an extension's process needs is more than the front needs for one run. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(admission_check_descriptors(&config, 2, &e), 0);
		assert_int_equal(soft_limit(), 282);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &first), 0);
}

/* As many as the descriptors suffice for, and one in any case; the narrower limit counts. */
static void the_number_of_connections_follows_from_that_of_descriptors(void **state)
{
	const struct config config = {.max_connections = 1000, .concurrency = 10, .spares = 2};
	struct rlimit first, limit;
	size_t most, more;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &first), 0);
	limit = first;
	limit.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 0;
	if (first.rlim_max >= 100000)
		assert_int_equal(admission_most(&config, 2), config.max_connections);
	/* As far as allowed, it has raised the limit. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (first.rlim_max >= 100000)
		assert_int_equal(limit.rlim_cur, first.rlim_max);
	assert_int_equal(
	    setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 400, .rlim_max = 400}), 0);
	most = admission_most(&config, 2);
	assert_in_range(most, 2, 100);
	more = admission_most(&(struct config){.max_connections = 1000}, 2);
	assert_true(more > most);
	assert_int_equal(
	    setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 64, .rlim_max = 64}), 0);
	assert_int_equal(admission_most(&config, 2), 1);
}

static void a_hard_limit_of_descriptors_that_is_too_low_is_an_error(void **state)
{
	const struct config config = {.concurrency = 100, .spares = 2};
	struct error e;

	(void)state;
	assert_int_equal(soft_limit(), 64);
	assert_int_equal(admission_check_descriptors(&config, 2, &e), -1);
	assert_string_equal(e.message,
	    "ulimit -n allows 64 file descriptors, and 832 are needed with --concurrency 100 and "
	    "--spares 2");
	assert_int_equal(soft_limit(), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_event_comes_for_each_client_and_the_next_when_that_is_accepted),
	    cmocka_unit_test(with_all_places_taken_no_event_comes_until_one_is_given_back),
	    cmocka_unit_test(after_a_pause_events_come_when_it_is_looked_again),
	    cmocka_unit_test(a_place_is_given_back_by_a_pause),
	    cmocka_unit_test(the_listener_of_an_app_is_its_workers_until_somebody_stands_in),
	    cmocka_unit_test(
		a_listener_of_an_app_that_was_shut_down_is_silent_until_it_has_a_new_socket),
	    cmocka_unit_test(who_stands_in_waits_for_a_place_too),
	    cmocka_unit_test(a_listener_that_comes_while_there_is_no_place_waits_too),
	    cmocka_unit_test(a_listener_that_was_shut_down_raises_no_more_events),
	    cmocka_unit_test(after_its_end_nobody_is_accepted),
	    cmocka_unit_test(it_is_full_while_a_client_waits_for_a_place),
	    cmocka_unit_test(the_soft_limit_of_descriptors_is_raised_as_far_as_necessary),
	    /* The last: they lower the limit for good. */
	    cmocka_unit_test(the_number_of_connections_follows_from_that_of_descriptors),
	    cmocka_unit_test(a_hard_limit_of_descriptors_that_is_too_low_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
