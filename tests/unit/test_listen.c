/*
 * Sockets with a place in the file system: whose they are, and what becomes of what is found there.
 */
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char *folder, *path;
static int ending = -1; /* the socket of a program that ends while it is waited for */

/* In the place of the C library's: listen.c waits with it for those that may be about to end. */
int poll(struct pollfd *events, nfds_t count, int timeout)
{
	const struct timespec time = {
	    .tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L};

	fd_close(&ending);
	return ppoll(events, count, &time, NULL);
}

static int begin(void **state)
{
	(void)state;
	folder = unit_folder_make();
	path = unit_path(folder, "s");
	return 0;
}

static int end(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	free(path);
	return 0;
}

/* Listen at the path, with these words behind it. */
static int open_with(struct listeners *ls, const char *words, struct error *e)
{
	char address[256];
	char *items[] = {address};
	struct config config = {.root = folder, .prefix = (char *)"", .listen = {items, 1}};

	snprintf(address, sizeof(address), "unix:%s%s", path, words);
	return listeners_open(ls, &config, e);
}

static struct sockaddr_un address_of_path(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

/* As another program listens. */
static int listen_there(int backlog)
{
	const struct sockaddr_un address = address_of_path();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static bool somebody_listens(void)
{
	const struct sockaddr_un address = address_of_path();
	FD_OWNED int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static void a_socket_has_its_mode_from_the_first_moment_and_the_umask_stays(void **state)
{
	static const mode_t modes[] = {0600, 0660, 0666};
	static const char *const words[] = {"", ",mode=0660", ",mode=0666"};
	mode_t before = umask(0022);
	struct listeners ls;
	struct error e;
	struct stat status;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(modes); i++) {
		assert_int_equal(open_with(&ls, words[i], &e), 0);
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_mode & 0777, modes[i]);
		assert_int_equal(umask(0022), 0022);
		assert_true(somebody_listens());
		listeners_release(&ls, true);
		assert_int_equal(stat(path, &status), -1);
	}
	umask(before);
}

static void what_a_host_that_is_gone_has_left_is_replaced(void **state)
{
	struct listeners ls;
	struct error e;

	(void)state;
	close(listen_there(5));
	assert_int_equal(open_with(&ls, "", &e), 0);
	assert_true(somebody_listens());
	listeners_release(&ls, true);
}

static void a_host_that_is_about_to_end_is_waited_for(void **state)
{
	struct listeners ls;
	struct error e;

	(void)state;
	ending = listen_there(16);
	assert_int_equal(open_with(&ls, "", &e), 0);
	assert_int_equal(ending, -1);
	assert_true(somebody_listens());
	listeners_release(&ls, true);
}

static void the_socket_of_a_living_host_is_left_alone(void **state)
{
	FD_OWNED int other = listen_there(16);
	struct listeners ls;
	struct error e;

	(void)state;
	assert_int_equal(open_with(&ls, "", &e), -1);
	assert_non_null(strstr(e.message, "another program listens there"));
	assert_true(somebody_listens());
}

static void the_socket_of_a_living_host_whose_queue_is_full_is_left_alone(void **state)
{
	const struct sockaddr_un address = address_of_path();
	FD_OWNED int other = listen_there(0);
	int waiting[64];
	size_t count = 0;
	struct listeners ls;
	struct stat before, after;
	struct error e;

	(void)state;
	do {
		assert_in_range(count, 0, UNIT_COUNT(waiting) - 1);
		waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	} while (
	    connect(waiting[count++], (const struct sockaddr *)&address, sizeof(address)) == 0);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(open_with(&ls, "", &e), -1);
	assert_non_null(strstr(e.message, "another program listens there"));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	while (count > 0)
		close(waiting[--count]);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct listeners ls;
	struct error e;
	struct stat status;

	(void)state;
	unit_file_write(folder, "s", "text", 0644);
	assert_int_equal(open_with(&ls, "", &e), -1);
	assert_non_null(strstr(e.message, "no socket"));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 4);
}

static void a_socket_whose_file_is_gone_is_bound_anew_and_one_that_is_there_is_not(void **state)
{
	struct log log = {.fd = fd_memory_file("unit")};
	struct listeners ls;
	struct error e;

	(void)state;
	assert_int_equal(open_with(&ls, "", &e), 0);
	assert_false(listener_renew_if_dead(&ls.items[0], &log));
	assert_int_equal(unlink(path), 0);
	assert_true(listener_renew_if_dead(&ls.items[0], &log));
	assert_true(somebody_listens());
	assert_false(listener_renew_if_dead(&ls.items[0], &log));
	listeners_release(&ls, true);
	fd_close(&log.fd);
}

/* Another program bound the name, which changed the inode, and has closed its socket. */
static void a_socket_whose_file_is_another_ones_is_bound_anew(void **state)
{
	struct log log = {.fd = fd_memory_file("unit")};
	struct listeners ls;
	struct error e;
	char *aside = unit_path(folder, "aside");

	(void)state;
	assert_int_equal(open_with(&ls, "", &e), 0);
	assert_int_equal(rename(path, aside), 0);
	close(listen_there(5));
	assert_true(listener_renew_if_dead(&ls.items[0], &log));
	assert_true(somebody_listens());
	/* The first file is still there, so that the new one cannot have its inode. */
	assert_false(listener_renew_if_dead(&ls.items[0], &log));
	assert_false(ls.items[0].dead);
	listeners_release(&ls, true);
	fd_close(&log.fd);
	free(aside);
}

static void a_socket_at_whose_place_another_program_listens_stays_as_it_is(void **state)
{
	struct log log = {.fd = fd_memory_file("unit")};
	struct listeners ls;
	struct error e;
	char *aside = unit_path(folder, "aside"), *lines;
	int fd, other;

	(void)state;
	assert_int_equal(open_with(&ls, "", &e), 0);
	fd = ls.items[0].fd;
	assert_int_equal(rename(path, aside), 0);
	other = listen_there(5);
	assert_false(listener_renew_if_dead(&ls.items[0], &log));
	assert_int_equal(ls.items[0].fd, fd);
	lines = unit_read(log.fd);
	assert_non_null(strstr(lines, "its socket's file is gone: in use"));
	free(lines);
	close(other);
	listeners_release(&ls, false);
	fd_close(&log.fd);
	free(aside);
}

static void a_socket_that_was_shut_down_is_bound_anew(void **state)
{
	struct log log = {.fd = fd_memory_file("unit")};
	struct listeners ls;
	struct stat status;
	struct error e;
	int fd;

	(void)state;
	assert_int_equal(open_with(&ls, ",mode=0640", &e), 0);
	fd = ls.items[0].fd;
	assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
	assert_false(somebody_listens());
	assert_true(listener_renew_if_dead(&ls.items[0], &log));
	assert_true(somebody_listens());
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	/* The next failure is logged again. */
	assert_false(ls.items[0].dead);
	assert_false(listener_renew_if_dead(&ls.items[0], &log));
	listeners_release(&ls, true);
	fd_close(&log.fd);
}

static int connect_tcp(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
	return fd;
}

/* An earlier connection that the host has closed keeps the port in TIME_WAIT. */
static void a_tcp_socket_that_was_shut_down_is_bound_anew_at_its_port(void **state)
{
	struct log log = {.fd = fd_memory_file("unit")};
	char text[] = "tcp:127.0.0.1:0", prefix[] = "", *items[] = {text};
	const struct config config = {.listen = {items, 1}, .prefix = prefix};
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	struct listeners ls;
	struct error e;
	int client;

	(void)state;
	assert_int_equal(listeners_open(&ls, &config, &e), 0);
	assert_int_equal(getsockname(ls.items[0].fd, (struct sockaddr *)&address, &size), 0);
	client = connect_tcp(&address);
	assert_int_equal(close(accept(ls.items[0].fd, NULL, NULL)), 0);
	assert_int_equal(shutdown(ls.items[0].fd, SHUT_RDWR), 0);
	close(client);
	assert_true(listener_renew_if_dead(&ls.items[0], &log));
	close(connect_tcp(&address));
	listeners_release(&ls, true);
	fd_close(&log.fd);
}

/* The host logs it once, and not at each look. */
static void a_socket_that_was_passed_in_and_shut_down_stays_dead(void **state)
{
	struct log log = {.fd = fd_memory_file("unit")};
	struct listener l = {.fd = listen_there(5), .address = (char *)"fd 3"};
	char *lines;

	(void)state;
	assert_int_equal(shutdown(l.fd, SHUT_RDWR), 0);
	assert_false(listener_renew_if_dead(&l, &log));
	assert_false(listener_renew_if_dead(&l, &log));
	lines = unit_read(log.fd);
	assert_non_null(strstr(lines, "fd 3: its socket was shut down: it was passed in"));
	assert_ptr_equal(strchr(lines, '\n'), strrchr(lines, '\n'));
	free(lines);
	fd_close(&l.fd);
	fd_close(&log.fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_socket_has_its_mode_from_the_first_moment_and_the_umask_stays),
	    TEST(what_a_host_that_is_gone_has_left_is_replaced),
	    TEST(a_host_that_is_about_to_end_is_waited_for),
	    TEST(the_socket_of_a_living_host_is_left_alone),
	    TEST(the_socket_of_a_living_host_whose_queue_is_full_is_left_alone),
	    TEST(a_file_that_is_no_socket_is_left_alone),
	    TEST(a_socket_whose_file_is_gone_is_bound_anew_and_one_that_is_there_is_not),
	    TEST(a_socket_whose_file_is_another_ones_is_bound_anew),
	    TEST(a_socket_at_whose_place_another_program_listens_stays_as_it_is),
	    TEST(a_socket_that_was_shut_down_is_bound_anew),
	    TEST(a_tcp_socket_that_was_shut_down_is_bound_anew_at_its_port),
	    TEST(a_socket_that_was_passed_in_and_shut_down_stays_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
