/* What the supervisor hears, at a socket of its own. */
#include "unit.h"

#include "master/notify.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct supervisor {
	char *folder;
	char *path;
	int fd;
};

/* Listen at a path, or at an abstract name if it begins with '@'. */
static int listen_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t size = strlen(name);
	const struct timeval timeout = {.tv_sec = 10};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(size < sizeof(address.sun_path));
	memcpy(address.sun_path, name, size);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	else
		size++;
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
	    0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return fd;
}

static int make_supervisor(void **state)
{
	static struct supervisor s;

	s.folder = unit_folder_make();
	s.path = unit_path(s.folder, "notify");
	s.fd = listen_at(s.path);
	setenv("NOTIFY_SOCKET", s.path, 1);
	*state = &s;
	return 0;
}

static int release_supervisor(void **state)
{
	struct supervisor *s = *state;

	close(s->fd);
	unit_folder_remove(s->folder);
	free(s->path);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

static const char *hear(int fd)
{
	static char text[2048];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static bool silent(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0;
}

static uint64_t microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void each_state_is_one_datagram(void **state)
{
	struct supervisor *s = *state;
	struct notify n;

	notify_init(&n);
	notify_ready(&n);
	assert_string_equal(hear(s->fd), "READY=1");
	notify_stopping(&n);
	assert_string_equal(hear(s->fd), "STOPPING=1");
	notify_watchdog(&n);
	assert_string_equal(hear(s->fd), "WATCHDOG=1");
	assert_true(silent(s->fd));
}

static void a_reload_tells_the_time_of_the_monotonic_clock(void **state)
{
	struct supervisor *s = *state;
	struct notify n;
	uint64_t before = microseconds(), told;
	char rest;

	notify_init(&n);
	notify_reloading(&n);
	assert_int_equal(
	    sscanf(hear(s->fd), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64 "%c", &told, &rest), 1);
	assert_true(told >= before && told <= microseconds());
}

static void a_status_is_one_line_whatever_is_in_it(void **state)
{
	struct supervisor *s = *state;
	struct notify n;
	char long_text[4096];

	notify_init(&n);
	notify_status(&n, "serving /srv/ext");
	assert_string_equal(hear(s->fd), "STATUS=serving /srv/ext");
	notify_status(&n, "one\nMAINPID=1\ttwo\x7f");
	assert_string_equal(hear(s->fd), "STATUS=one MAINPID=1 two ");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	notify_status(&n, long_text);
	assert_in_range(strlen(hear(s->fd)), 100, 1000);
}

static void a_long_status_is_cut_between_two_characters(void **state)
{
	struct supervisor *s = *state;
	struct notify n;

	notify_init(&n);
	for (size_t shift = 0; shift < 3; shift++) {
		char text[3001] = "aaa";
		const char *heard;

		for (size_t i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\u20ac", 3);
		notify_status(&n, text);
		heard = hear(s->fd);
		assert_int_equal((strlen(heard) - strlen("STATUS=") - shift) % 3, 0);
		assert_memory_equal(
		    heard + strlen("STATUS="), text, strlen(heard) - strlen("STATUS="));
	}
}

static void an_abstract_name_is_spoken_to(void **state)
{
	struct notify n;
	char name[64];
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "@exthost-unit-%d", (int)getpid());
	fd = listen_at(name);
	setenv("NOTIFY_SOCKET", name, 1);
	notify_init(&n);
	notify_ready(&n);
	assert_string_equal(hear(fd), "READY=1");
	close(fd);
}

static void the_variables_are_gone_from_the_environment(void **state)
{
	struct notify n;

	(void)state;
	setenv("WATCHDOG_USEC", "1000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_init(&n);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
}

static void without_a_supervisor_nothing_happens(void **state)
{
	static const char *const nobody[] = {"", "@", "/", "relative/path", "vsock:2:1234",
	    "/does/not/exist",
	    /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one path on two lines. */
	    "/a/path/that/is/much/longer/than/the/hundred/and/seven/bytes/which/the/address/of/a/"
	    "unix/socket/holds/on/linux"};
	struct supervisor *s = *state;
	struct notify n;

	for (size_t i = 0; i <= UNIT_COUNT(nobody); i++) {
		unsetenv("NOTIFY_SOCKET");
		if (i < UNIT_COUNT(nobody))
			setenv("NOTIFY_SOCKET", nobody[i], 1);
		notify_init(&n);
		notify_ready(&n);
		notify_reloading(&n);
		notify_status(&n, "x");
		notify_watchdog(&n);
		notify_stopping(&n);
	}
	assert_true(silent(s->fd));
}

/* No listener of the test's reads here: the queue of the socket is full after some datagrams. */
static void a_supervisor_that_does_not_read_holds_nobody_up_for_long(void **state)
{
	struct notify n;
	uint64_t before = microseconds();

	(void)state;
	notify_init(&n);
	for (int i = 0; i < 20000; i++)
		notify_watchdog(&n);
	notify_ready(&n);
	assert_true(microseconds() - before < 8000000);
}

static uint64_t every_with(const char *usec, const char *pid)
{
	struct notify n;

	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	setenv("NOTIFY_SOCKET", "/run/none", 1);
	if (usec != NULL)
		setenv("WATCHDOG_USEC", usec, 1);
	if (pid != NULL)
		setenv("WATCHDOG_PID", pid, 1);
	notify_init(&n);
	return notify_watchdog_every(&n);
}

static void the_watchdog_is_fed_at_half_its_time(void **state)
{
	char self[16];

	(void)state;
	snprintf(self, sizeof(self), "%d", (int)getpid());
	assert_true(every_with("400000", NULL) == 200000000);
	assert_true(every_with("400000", self) == 200000000);
}

static void there_is_no_watchdog_unless_it_is_ours_and_makes_sense(void **state)
{
	struct notify n;

	(void)state;
	assert_true(every_with(NULL, NULL) == 0);
	assert_true(every_with("0", NULL) == 0);
	assert_true(every_with("", NULL) == 0);
	assert_true(every_with("-1", NULL) == 0);
	assert_true(every_with("5s", NULL) == 0);
	assert_true(every_with("18446744073709551615", NULL) == 0);
	assert_true(every_with("99999999999999999999999", NULL) == 0);
	assert_true(every_with("400000", "1") == 0);
	assert_true(every_with("400000", "") == 0);
	setenv("WATCHDOG_USEC", "400000", 1);
	unsetenv("NOTIFY_SOCKET");
	notify_init(&n);
	assert_true(notify_watchdog_every(&n) == 0);
}

int main(void)
{
#define WITH_SUPERVISOR(test)                                                                      \
	cmocka_unit_test_setup_teardown(test, make_supervisor, release_supervisor)
	const struct CMUnitTest tests[] = {
	    WITH_SUPERVISOR(each_state_is_one_datagram),
	    WITH_SUPERVISOR(a_reload_tells_the_time_of_the_monotonic_clock),
	    WITH_SUPERVISOR(a_status_is_one_line_whatever_is_in_it),
	    WITH_SUPERVISOR(a_long_status_is_cut_between_two_characters),
	    WITH_SUPERVISOR(an_abstract_name_is_spoken_to),
	    WITH_SUPERVISOR(the_variables_are_gone_from_the_environment),
	    WITH_SUPERVISOR(without_a_supervisor_nothing_happens),
	    WITH_SUPERVISOR(a_supervisor_that_does_not_read_holds_nobody_up_for_long),
	    WITH_SUPERVISOR(the_watchdog_is_fed_at_half_its_time),
	    WITH_SUPERVISOR(there_is_no_watchdog_unless_it_is_ours_and_makes_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
