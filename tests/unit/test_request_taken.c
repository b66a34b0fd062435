/* A request decoded from bytes that were taken off the connection. */
#include "unit.h"

#include "buffer.h"
#include "config.h"
#include "error.h"
#include "request.h"
#include "wire_check.h"

#include <string.h>

static void put_pair(struct buffer *block, const char *name, const char *value)
{
	unsigned char pair[256];
	const struct wire_param p = {.name = (const unsigned char *)name,
	    .name_size = strlen(name),
	    .value = (const unsigned char *)value,
	    .value_size = strlen(value)};

	assert_int_equal(buffer_append(block, pair, wire_param_write(pair, sizeof(pair), &p)), 0);
}

static void put_record(struct buffer *out, enum wire_type type, const void *content, size_t size)
{
	static const char zeros[8];
	unsigned char header[WIRE_HEADER];

	wire_record_write(header, type, 1, size);
	assert_int_equal(buffer_append(out, header, sizeof(header)), 0);
	assert_int_equal(buffer_append(out, content, size), 0);
	assert_int_equal(buffer_append(out, zeros, wire_padding(size)), 0);
}

static void the_role_of_the_request_is_no_variable(void **state)
{
	static const struct wire_rules rules = {.max_params = 4096, .max_head = 131072};
	static const struct config config = {.max_header = 4096};
	struct wire_check check = {.rules = &rules};
	struct buffer block = {0}, taken = {0};
	struct request r = {.body = -1};
	struct request_taken t;
	struct error e = {""};
	unsigned char begin[WIRE_FIXED], buffer[64];

	(void)state;
	put_pair(&block, "FCGI_ROLE", "FILTER");
	put_pair(&block, "FCGI_ROLES", "1");
	buffer_append(&taken, begin, wire_begin_write(begin, 1, WIRE_RESPONDER, 0));
	put_record(&taken, WIRE_PARAMS, block.data, block.size);
	put_record(&taken, WIRE_PARAMS, NULL, 0);
	put_record(&taken, WIRE_STDIN, NULL, 0);
	assert_int_equal(wire_check(&check, (unsigned char *)taken.data, taken.size), WIRE_READY);
	assert_int_equal(request_taken_begin(&r, &t, &taken, &check, &config, &e), REQUEST_MORE);
	assert_int_equal(request_taken_read(&r, &t, &taken, buffer, sizeof(buffer), &e), 0);
	assert_int_equal(r.variables.count, 1);
	assert_string_equal(r.variables.items[0], "FCGI_ROLES=1");
	assert_int_equal(taken.size, 0);
	request_release(&r);
	buffer_release(&taken);
	buffer_release(&block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_role_of_the_request_is_no_variable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
