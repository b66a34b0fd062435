/* The stages of a request that need neither a front nor a worker. */
#include "unit.h"

#include "base/log.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_that_nothing_ran_for_leaves_all_descriptors_open),
	};

	/* It may have been started without one. */
	while (open("/dev/null", O_RDWR) <= STDERR_FILENO)
		;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
