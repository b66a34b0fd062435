/* The stages of a request that need neither a front nor a worker. */
#include "unit.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "request/exchange.h"
#include "request/request.h"

#include <fcntl.h>
#include <unistd.h>

static void a_request_that_nothing_ran_for_leaves_all_descriptors_open(void **state)
{
	static const struct config config = {.tmpdir = (char *)"/tmp"};
	const struct log log = {.fd = -1, .least = LEVEL_ERROR};
	struct request request = {.body = -1, .response = {.fd = open("/dev/null", O_WRONLY)}};
	struct exchange x;

	(void)state;
	exchange_init(&x, &request, &config, &log);
	exchange_refuse(&x, 413, "too large");
	assert_true(exchange_release(&x));
	assert_int_equal(request.status, 413);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_true(fcntl(request.response.fd, F_GETFD) >= 0);
	close(request.response.fd);
	request_release(&request);
}

static void a_long_reason_is_kept_as_long_as_an_error(void **state)
{
	static const struct config config = {.tmpdir = (char *)"/tmp"};
	const struct log log = {.fd = -1, .least = LEVEL_ERROR};
	struct request request = {.body = -1, .response = {.fd = open("/dev/null", O_WRONLY)}};
	struct exchange x;
	struct error e;

	(void)state;
	error_set(&e, "%0500d", 7);
	exchange_init(&x, &request, &config, &log);
	exchange_refuse(&x, 400, "%s", e.message);
	assert_string_equal(x.outcome.reason, e.message);
	exchange_release(&x);
	close(request.response.fd);
	request_release(&request);
}

/* It is cut, as its client took nothing for so long; but what the log tells is the abort. */
static void an_aborted_reply_that_is_late_is_499_in_the_log(void **state)
{
	static const struct config config = {.tmpdir = (char *)"/tmp"};
	const struct log log = {.fd = -1, .least = LEVEL_ERROR};
	struct request request = {.body = -1, .response = {.fd = open("/dev/null", O_WRONLY)}};
	struct exchange x;

	(void)state;
	exchange_init(&x, &request, &config, &log);
	x.limits = (struct limits){.max_reply = 1000};
	exchange_begin_reply(&x);
	request.status = 200;
	request.response.late = request.response.failed = true;
	outcome_fail(&x.outcome, OUTCOME_ABORTED, 499, "the client aborted the request");
	exchange_finish(&x);
	assert_int_equal(request.status, 499);
	assert_true(request.response.late);
	assert_false(exchange_release(&x));
	close(request.response.fd);
	request_release(&request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_that_nothing_ran_for_leaves_all_descriptors_open),
	    cmocka_unit_test(a_long_reason_is_kept_as_long_as_an_error),
	    cmocka_unit_test(an_aborted_reply_that_is_late_is_499_in_the_log),
	};

	/* It may have been started without one. */
	while (open("/dev/null", O_RDWR) <= STDERR_FILENO)
		;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
