/* When a service is started again, and which service waits for which. Tests advance the clock. */
#include "base/clock.h"
#include "unit.h"

#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "master/service.h"
#include "master/service_process.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_offset; /* nanoseconds */

/* In the place of the C library's: it goes on when a test says so. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	uint64_t time = 1000 * CLOCK_SECOND + clock_offset;

	(void)clock;
	*now = (struct timespec){
	    .tv_sec = (time_t)(time / CLOCK_SECOND), .tv_nsec = (long)(time % CLOCK_SECOND)};
	return 0;
}

static struct log log_file;
static struct services s;
static struct config_service service;
static struct config config;
static char *words[] = {(char *)"/bin/sleep 60"};

static void do_nothing(void *argument)
{
	(void)argument;
}

static bool is_not_hurried(void *argument)
{
	(void)argument;
	return false;
}

static int begin(void **state)
{
	(void)state;
	clock_offset = 0;
	log_file = (struct log){.fd = fd_memory_file("unit")};
	s = (struct services){
	    .log = &log_file, .in_child = do_nothing, .is_hurried = is_not_hurried};
	words[0] = (char *)"/bin/sleep 60";
	service = (struct config_service){.name = (char *)"x",
	    .run = {words, 1},
	    .restart = (char *)"always",
	    .restart_delay = 1};
	config = (struct config){.services = &service, .service_count = 1, .grace = 5};
	services_configure(&s, &config);
	return 0;
}

static int end(void **state)
{
	(void)state;
	services_stop(&s, clock_now());
	fd_close(&log_file.fd);
	return 0;
}

static pid_t pid_of(size_t index)
{
	struct service_state state;

	services_state(&s, index, &state);
	return state.pid;
}

/*
 * The first is killed, after so long a life; the nanoseconds until it is started again; 0: it is
 * not.
 */
static uint64_t die(uint64_t age, int wait_status)
{
	pid_t pid = pid_of(0);
	uint64_t now, at;

	assert_true(pid > 0);
	clock_offset += age;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	now = clock_now();
	assert_true(services_child_died(&s, pid, wait_status));
	at = services_work(&s);
	return at > now ? at - now : 0;
}

static void start_after(uint64_t wait)
{
	clock_offset += wait;
	services_work(&s);
	assert_true(pid_of(0) > 0);
}

static void one_that_ends_at_once_is_started_later_each_time_up_to_a_minute(void **state)
{
	static const unsigned expected[] = {2, 4, 8, 16, 32, 60, 60};

	(void)state;
	services_work(&s);
	for (size_t i = 0; i < UNIT_COUNT(expected); i++) {
		uint64_t wait = die(0, 1 << 8);

		assert_int_equal(wait, expected[i] * CLOCK_SECOND);
		start_after(wait);
	}
}

static void without_a_delay_one_that_ends_at_once_waits_all_the_same(void **state)
{
	static const unsigned expected[] = {1, 2, 4, 8};

	(void)state;
	service.restart_delay = 0;
	services_configure(&s, &config);
	services_work(&s);
	for (size_t i = 0; i < UNIT_COUNT(expected); i++) {
		uint64_t wait = die(0, 1 << 8);

		assert_int_equal(wait, expected[i] * CLOCK_SECOND / 10);
		start_after(wait);
	}
}

static void one_that_has_run_is_started_after_its_delay(void **state)
{
	uint64_t wait;

	(void)state;
	services_work(&s);
	start_after(die(0, 1 << 8));
	wait = die(5 * CLOCK_SECOND, 1 << 8);
	assert_int_equal(wait, CLOCK_SECOND);
	start_after(wait);
	wait = die(5 * CLOCK_SECOND, 0);
	assert_int_equal(wait, CLOCK_SECOND);
}

static void before_its_time_it_is_not_started(void **state)
{
	uint64_t wait;

	(void)state;
	services_work(&s);
	wait = die(5 * CLOCK_SECOND, 1 << 8);
	assert_int_equal(pid_of(0), 0);
	assert_true(wait > 0);
	services_work(&s);
	assert_int_equal(pid_of(0), 0);
}

static void on_failure_one_that_ended_well_stays_ended(void **state)
{
	(void)state;
	config.service_count = 0;
	services_configure(&s, &config);
	services_work(&s);
	service.restart = (char *)"on-failure";
	config.service_count = 1;
	services_configure(&s, &config);
	services_work(&s);
	assert_int_equal(s.count, 1);
	assert_true(die(5 * CLOCK_SECOND, 3 << 8) > 0);
	start_after(CLOCK_SECOND);
	assert_int_equal(die(5 * CLOCK_SECOND, 0), 0);
}

static void one_described_otherwise_waits_until_nobody_is_left_of_its_predecessor(void **state)
{
	pid_t first, second;
	int status;

	(void)state;
	services_work(&s);
	first = pid_of(0);
	words[0] = (char *)"/bin/sleep 61";
	services_configure(&s, &config);
	assert_int_equal(s.count, 2);
	/* The service has its SIGTERM, but the master has not seen it die. */
	services_work(&s);
	assert_int_equal(pid_of(1), 0);
	assert_int_equal(waitpid(first, &status, 0), first);
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_true(services_child_died(&s, first, status));
	services_work(&s);
	assert_int_equal(s.count, 1);
	second = pid_of(0);
	assert_true(second > 0 && second != first);
}

static void what_stays_beyond_the_grace_time_is_killed(void **state)
{
	pid_t first;
	int status;

	(void)state;
	words[0] = (char *)"/bin/sh -c \"trap '' TERM; echo ready; while :; do sleep 1; done\"";
	services_configure(&s, &config);
	services_work(&s);
	services_work(&s);
	first = pid_of(s.count - 1);
	assert_true(first > 0);
	for (int i = 0; i < 10000; i++) {
		char *text;
		bool ready;

		services_take_output(&s);
		text = unit_read(log_file.fd);
		ready = strstr(text, "info ready") != NULL;
		free(text);
		if (ready)
			break;
		poll(NULL, 0, 1);
	}
	config.service_count = 0;
	services_configure(&s, &config);
	assert_true(services_work(&s) > clock_now());
	assert_int_equal(waitpid(first, &status, WNOHANG), 0);
	clock_offset += 6 * CLOCK_SECOND;
	services_work(&s);
	assert_int_equal(waitpid(first, &status, 0), first);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	services_child_died(&s, first, status);
}

/* Its number may become another's. */
static void a_group_of_which_nobody_is_left_is_forgotten(void **state)
{
	pid_t pid;

	(void)state;
	services_work(&s);
	pid = pid_of(0);
	assert_true(services_has(&s, pid));
	die(5 * CLOCK_SECOND, 0);
	assert_false(services_has(&s, pid));
	assert_false(services_has(&s, pid + 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_that_ends_at_once_is_started_later_each_time_up_to_a_minute),
	    TEST(without_a_delay_one_that_ends_at_once_waits_all_the_same),
	    TEST(one_that_has_run_is_started_after_its_delay),
	    TEST(before_its_time_it_is_not_started),
	    TEST(on_failure_one_that_ended_well_stays_ended),
	    TEST(one_described_otherwise_waits_until_nobody_is_left_of_its_predecessor),
	    TEST(what_stays_beyond_the_grace_time_is_killed),
	    TEST(a_group_of_which_nobody_is_left_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
