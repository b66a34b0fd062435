/* Which descriptors count as passed in, and what is left in the environment. */
#include "unit.h"

#include "base/error.h"
#include "net/listen_inherited.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void say(const char *pid, const char *count)
{
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", count, 1);
	setenv("LISTEN_FDNAMES", "a:b", 1);
}

static const char *self(void)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", (int)getpid());
	return text;
}

static void the_variables_are_gone_whomever_they_are_for(void **state)
{
	const char *pids[] = {"1", self(), ""};
	struct listen_inherited in;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(pids); i++) {
		say(pids[i], "1");
		listen_inherited_find(&in);
		assert_null(getenv("LISTEN_PID"));
		assert_null(getenv("LISTEN_FDS"));
		assert_null(getenv("LISTEN_FDNAMES"));
	}
}

static void as_many_as_are_told_begin_at_descriptor_3(void **state)
{
	struct listen_inherited in;

	(void)state;
	say(self(), "2");
	listen_inherited_find(&in);
	assert_int_equal(in.next, 3);
	assert_int_equal(in.end, 5);
}

static void what_is_for_another_or_no_number_leaves_descriptor_0(void **state)
{
	static const char *const counts[] = {
	    "", "0", "-1", "2x", "2147483647", "99999999999999999999"};
	struct listen_inherited in;

	(void)state;
	for (size_t i = 0; i <= UNIT_COUNT(counts); i++) {
		if (i < UNIT_COUNT(counts))
			say(self(), counts[i]);
		else
			say("1", "2");
		listen_inherited_find(&in);
		assert_int_equal(in.next, 0);
		assert_int_equal(in.end, 1);
	}
}

/* Descriptors 3 and 4 are the test's for as long as it runs. */
static void each_is_taken_once_and_says_what_it_is(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int saved[] = {fcntl(3, F_DUPFD_CLOEXEC, 10), fcntl(4, F_DUPFD_CLOEXEC, 10)};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), given = -1, family = -1;
	struct listen_inherited in;
	struct error e;

	(void)state;
	/* A name that the kernel makes up. */
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(dup2(listener, 3), 3);
	assert_int_equal(dup2(STDERR_FILENO, 4), 4);
	say(self(), "2");
	listen_inherited_find(&in);
	assert_true(listen_inherited_left(&in));
	assert_int_equal(listen_inherited_take(&in, &given, &family, &e), 3);
	assert_int_equal(given, 3);
	assert_int_equal(family, AF_UNIX);
	assert_true((fcntl(3, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(4, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(listen_inherited_take(&in, &given, &family, &e), -1);
	assert_non_null(strstr(e.message, "descriptor 4"));
	assert_false(listen_inherited_left(&in));
	assert_int_equal(listen_inherited_take(&in, &given, &family, &e), -1);
	assert_non_null(strstr(e.message, "fewer"));
	close(3);
	close(4);
	if (listener > 4)
		close(listener);
	for (int i = 0; i < 2; i++)
		if (saved[i] >= 0) {
			dup2(saved[i], 3 + i);
			close(saved[i]);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_variables_are_gone_whomever_they_are_for),
	    cmocka_unit_test(as_many_as_are_told_begin_at_descriptor_3),
	    cmocka_unit_test(what_is_for_another_or_no_number_leaves_descriptor_0),
	    cmocka_unit_test(each_is_taken_once_and_says_what_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
