/* The stages of a request that need neither a front nor a worker. */
#include "unit.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "request/exchange.h"
#include "request/request.h"

#include <fcntl.h>
#include <unistd.h>

static struct {
	struct request request;
	struct exchange x;
} t;

static int begin(void **state)
{
	static const struct config config = {.tmpdir = (char *)"/tmp"};
	static const struct log log = {.fd = -1, .least = LEVEL_ERROR};

	(void)state;
	t.request = (struct request){.body = -1, .response = {.fd = open("/dev/null", O_WRONLY)}};
	exchange_init(&t.x, &t.request, &config, &log);
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(t.request.response.fd);
	request_release(&t.request);
	return 0;
}

static void a_request_that_nothing_ran_for_leaves_all_descriptors_open(void **state)
{
	(void)state;
	exchange_refuse(&t.x, 413, "too large");
	assert_true(exchange_release(&t.x));
	assert_int_equal(t.request.status, 413);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_true(fcntl(t.request.response.fd, F_GETFD) >= 0);
}

static void a_long_reason_is_kept_as_long_as_an_error(void **state)
{
	struct error e;

	(void)state;
	error_set(&e, "%0500d", 7);
	exchange_refuse(&t.x, 400, "%s", e.message);
	assert_string_equal(t.x.outcome.reason, e.message);
	exchange_release(&t.x);
}

/* The response is cut, as its client has read nothing for too long; the log names the abort. */
static void an_aborted_reply_that_is_late_is_499_in_the_log(void **state)
{
	(void)state;
	t.x.limits = (struct limits){.max_reply = 1000};
	exchange_begin_reply(&t.x);
	t.request.status = 200;
	t.request.response.late = t.request.response.failed = true;
	outcome_fail(&t.x.outcome, OUTCOME_ABORTED, 499, "the client aborted the request");
	exchange_finish(&t.x);
	assert_int_equal(t.request.status, 499);
	assert_true(t.request.response.late);
	assert_false(exchange_release(&t.x));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_request_that_nothing_ran_for_leaves_all_descriptors_open),
	    TEST(a_long_reason_is_kept_as_long_as_an_error),
	    TEST(an_aborted_reply_that_is_late_is_499_in_the_log),
	};

	/* The test may have been started without standard descriptors. */
	while (open("/dev/null", O_RDWR) <= STDERR_FILENO)
		;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
