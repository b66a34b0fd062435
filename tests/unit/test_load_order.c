/* The order to load goes into strings and comes out of them as it was; anything else is refused. */
#include "unit.h"

#include "base/error.h"
#include "base/log.h"
#include "ipc/load_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRINGS_MAX 64

static char *variables[] = {(char *)"A=b=c", (char *)"B="};

static struct load_order plain_order(void)
{
	return (struct load_order){.root = "/srv/ext=2",
	    .rerun = true,
	    .cpu = UINT64_MAX,
	    .max_requests = 1000,
	    .max_rss = 0,
	    .environment = {variables, UNIT_COUNT(variables)}};
}

static struct load_order direct_order(struct config_list *uids, struct config_list *blocks)
{
	struct load_order order = plain_order();

	order.rerun = false;
	order.debug = order.validate = true;
	order.serves = true;
	order.name = "wiki/app.py";
	order.prefix = "/wiki";
	order.tmpdir = "/tmp";
	order.allow_uid = *uids;
	order.allow_gid = *uids;
	order.allow_from = *blocks;
	order.log_json = true;
	order.log_level = LEVEL_WARNING;
	order.max_connections = 256;
	order.max_header = 131072;
	order.max_body = UINT64_MAX;
	order.max_reply = 1;
	order.reply_buffer = 2;
	order.timeout = 30;
	order.body_timeout = 60;
	return order;
}

static void assert_same_list(const struct config_list *found, const struct config_list *wanted)
{
	assert_int_equal(found->count, wanted->count);
	for (size_t i = 0; i < wanted->count; i++)
		assert_string_equal(found->items[i], wanted->items[i]);
}

static void assert_same(const struct load_order *found, const struct load_order *wanted)
{
	assert_string_equal(found->root, wanted->root);
	assert_int_equal(found->rerun, wanted->rerun);
	assert_int_equal(found->debug, wanted->debug);
	assert_true(found->cpu == wanted->cpu);
	assert_true(found->max_requests == wanted->max_requests);
	assert_true(found->max_rss == wanted->max_rss);
	assert_int_equal(found->serves, wanted->serves);
	assert_same_list(&found->environment, &wanted->environment);
}

static void assert_same_direct(const struct load_order *found, const struct load_order *wanted)
{
	assert_string_equal(found->name, wanted->name);
	assert_string_equal(found->prefix, wanted->prefix);
	assert_string_equal(found->tmpdir, wanted->tmpdir);
	assert_same_list(&found->allow_uid, &wanted->allow_uid);
	assert_same_list(&found->allow_gid, &wanted->allow_gid);
	assert_same_list(&found->allow_from, &wanted->allow_from);
	assert_int_equal(found->log_json, wanted->log_json);
	assert_true(found->log_level == wanted->log_level);
	assert_true(found->max_connections == wanted->max_connections);
	assert_true(found->max_header == wanted->max_header);
	assert_true(found->max_body == wanted->max_body);
	assert_true(found->max_reply == wanted->max_reply);
	assert_true(found->reply_buffer == wanted->reply_buffer);
	assert_true(found->timeout == wanted->timeout);
	assert_true(found->body_timeout == wanted->body_timeout);
}

static void an_order_for_a_plain_worker_comes_out_as_it_was(void **state)
{
	struct load_order wanted = plain_order(), found;
	char **strings = load_order_pack(&wanted);
	struct error e;

	(void)state;
	assert_non_null(strings);
	assert_int_equal(load_order_unpack(&found, strings, &e), 0);
	assert_same(&found, &wanted);
	assert_null(found.name);
	assert_int_equal(found.allow_uid.count, 0);
	load_order_release(&found);
	load_order_free(strings);
}

static void an_order_for_a_direct_worker_comes_out_as_it_was(void **state)
{
	char *uids[] = {(char *)"33", (char *)"1000"}, *blocks[] = {(char *)"10.1.0.0/16"};
	struct config_list none = {0}, two = {uids, 2}, one = {blocks, 1};
	struct load_order wanted[] = {direct_order(&two, &one), direct_order(&none, &none)};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(wanted); i++) {
		char **strings = load_order_pack(&wanted[i]);
		struct load_order found;
		struct error e;

		assert_non_null(strings);
		assert_int_equal(load_order_unpack(&found, strings, &e), 0);
		assert_same(&found, &wanted[i]);
		assert_same_direct(&found, &wanted[i]);
		load_order_release(&found);
		load_order_free(strings);
	}
}

/*
 * The order for a plain worker, or a direct one, with every string but that which begins with
 * `without`, and with `more` behind them; NULL: nothing is left out, or nothing follows.
 */
static void assert_refused(bool serves, const char *without, const char *more, const char *message)
{
	struct config_list none = {0};
	struct load_order order = serves ? direct_order(&none, &none) : plain_order(), found;
	char **packed = load_order_pack(&order);
	char *strings[STRINGS_MAX];
	struct error e;
	size_t count = 0;

	assert_non_null(packed);
	for (size_t i = 0; packed[i] != NULL; i++)
		if (without == NULL || strncmp(packed[i], without, strlen(without)) != 0)
			strings[count++] = packed[i];
	if (more != NULL)
		strings[count++] = (char *)more;
	strings[count] = NULL;
	assert_in_range(count, 1, STRINGS_MAX - 1);
	assert_int_equal(load_order_unpack(&found, strings, &e), -1);
	assert_string_equal(e.message, message);
	load_order_free(packed);
}

static void what_is_no_field_is_refused(void **state)
{
	(void)state;
	assert_refused(false, NULL, "colour=red", "order to load: there is no field 'colour'");
	assert_refused(false, NULL, "root", "order to load: 'root' is not NAME=value");
	assert_refused(false, NULL, "", "order to load: '' is not NAME=value");
	assert_refused(false, NULL, "=x", "order to load: there is no field ''");
	assert_refused(false, NULL, "roo=x", "order to load: there is no field 'roo'");
}

static void a_value_that_is_none_of_its_field_is_refused(void **state)
{
	(void)state;
	assert_refused(false, "cpu=", "cpu=soon", "order to load: cpu: 'soon' is not a number");
	assert_refused(false, "cpu=", "cpu=", "order to load: cpu: '' is not a number");
	assert_refused(false, "cpu=", "cpu=-1", "order to load: cpu: '-1' is not a number");
	assert_refused(false, "cpu=", "cpu=5 ", "order to load: cpu: '5 ' is not a number");
	assert_refused(false, "cpu=", "cpu=18446744073709551616",
	    "order to load: cpu: '18446744073709551616' is more than 18446744073709551615");
	assert_refused(
	    true, "log-level=", "log-level=4", "order to load: log-level: '4' is more than 3");
	assert_refused(
	    false, "debug=", "debug=yes", "order to load: debug: 'yes' is neither 0 nor 1");
	assert_refused(false, "debug=", "debug=", "order to load: debug: '' is neither 0 nor 1");
}

static void a_field_that_stands_there_twice_is_refused(void **state)
{
	(void)state;
	assert_refused(false, NULL, "root=/", "order to load: root stands there twice");
}

static void a_field_that_is_missing_is_refused(void **state)
{
	(void)state;
	assert_refused(false, "root=", NULL, "order to load: root is missing");
	assert_refused(false, "max-rss=", NULL, "order to load: max-rss is missing");
	assert_refused(true, "body-timeout=", NULL, "order to load: body-timeout is missing");
	assert_refused(false, "serves=", "serves=1", "order to load: name is missing");
}

static void a_plain_worker_is_told_nothing_of_a_direct_one(void **state)
{
	(void)state;
	assert_refused(
	    false, NULL, "prefix=/x", "order to load: prefix is for direct workers only");
	assert_refused(
	    false, NULL, "allow-uid=1", "order to load: allow-uid is for direct workers only");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_order_for_a_plain_worker_comes_out_as_it_was),
	    cmocka_unit_test(an_order_for_a_direct_worker_comes_out_as_it_was),
	    cmocka_unit_test(what_is_no_field_is_refused),
	    cmocka_unit_test(a_value_that_is_none_of_its_field_is_refused),
	    cmocka_unit_test(a_field_that_stands_there_twice_is_refused),
	    cmocka_unit_test(a_field_that_is_missing_is_refused),
	    cmocka_unit_test(a_plain_worker_is_told_nothing_of_a_direct_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
