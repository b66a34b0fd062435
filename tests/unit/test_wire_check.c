/* What a client may send in front of a body, row by row: host/net/wire_check.h. */
#include "net/wire_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ID 7
#define OTHER 8

static const struct wire_rules rules = {.max_params = 65536,
    .max_head = 262144,
    .max_ignored = 16,
    .max_conns = 100,
    .max_reqs = 20,
    .mpxs_conns = 0};

/* What a client sends. */
static struct {
	unsigned char bytes[300000];
	size_t size;
} sent;

static bool from_relay; /* of the next connection that is checked */

static int begin_test(void **state)
{
	(void)state;
	from_relay = false;
	sent.size = 0;
	return 0;
}

static void send_padded(
    uint8_t type, uint16_t id, const void *content, size_t size, uint8_t padding)
{
	const struct wire_header header = {.version = 1,
	    .type = type,
	    .request_id = id,
	    .content = (uint16_t)size,
	    .padding = padding};

	assert_true(sent.size + WIRE_HEADER + size + padding <= sizeof(sent.bytes));
	wire_header_write(sent.bytes + sent.size, &header);
	sent.size += WIRE_HEADER;
	if (size > 0)
		memcpy(sent.bytes + sent.size, content, size);
	memset(sent.bytes + sent.size + size, 0xee, padding);
	sent.size += size + padding;
}

static void send_record(uint8_t type, uint16_t id, const void *content, size_t size)
{
	send_padded(type, id, content, size, 0);
}

static void send_begin(uint16_t id, unsigned role, unsigned flags)
{
	const unsigned char body[8] = {
	    (unsigned char)(role >> 8), (unsigned char)role, (unsigned char)flags};

	send_record(WIRE_BEGIN_REQUEST, id, body, sizeof(body));
}

/* A literal with NULs in it. */
#define send_params(id, literal) send_record(WIRE_PARAMS, id, literal, sizeof(literal) - 1)

static void send_request(uint16_t id)
{
	send_begin(id, WIRE_RESPONDER, WIRE_KEEP_CONN);
	send_params(id, "\13\1SCRIPT_NAME/\1\0A");
	send_record(WIRE_PARAMS, id, NULL, 0);
}

static struct wire_check judge_sent(enum wire_verdict expected)
{
	struct wire_check check = {.rules = &rules, .from_relay = from_relay};

	assert_int_equal(wire_check(&check, sent.bytes, sent.size), expected);
	return check;
}

static void assert_malformed(void)
{
	assert_non_null(judge_sent(WIRE_MALFORMED).reason);
}

/* A begun request with these PARAMS, not ended. */
#define send_begun(literal)                                                                        \
	do {                                                                                       \
		send_begin(ID, WIRE_RESPONDER, WIRE_KEEP_CONN);                                    \
		send_params(ID, literal);                                                          \
	} while (0)

#define assert_bad(literal)                                                                        \
	do {                                                                                       \
		struct wire_check check_;                                                          \
		sent.size = 0;                                                                     \
		send_begun(literal);                                                               \
		send_record(WIRE_PARAMS, ID, NULL, 0);                                             \
		check_ = judge_sent(WIRE_BAD_REQUEST);                                             \
		assert_non_null(check_.reason);                                                    \
		assert_int_equal(check_.take, sent.size);                                          \
	} while (0)

static void a_whole_request_is_ready_where_its_params_end(void **state)
{
	struct wire_check check;
	size_t end;

	(void)state;
	send_request(ID);
	end = sent.size;
	send_record(WIRE_STDIN, ID, "body", 4);
	check = judge_sent(WIRE_READY);
	assert_int_equal(check.take, end);
	assert_int_equal(check.request_id, ID);
	assert_true(check.keep_conn);
	assert_null(check.unfit);
}

static void without_the_flag_the_connection_is_not_kept(void **state)
{
	(void)state;
	send_begin(ID, WIRE_RESPONDER, 0);
	send_params(ID, "\1\1AB");
	send_record(WIRE_PARAMS, ID, NULL, 0);
	assert_false(judge_sent(WIRE_READY).keep_conn);
}

static void a_request_cut_at_any_byte_is_incomplete(void **state)
{
	struct wire_check grown = {.rules = &rules};

	(void)state;
	send_request(ID);
	for (size_t cut = 0; cut < sent.size; cut++) {
		struct wire_check fresh = {.rules = &rules};

		assert_int_equal(wire_check(&fresh, sent.bytes, cut), WIRE_MORE);
		assert_int_equal(wire_check(&grown, sent.bytes, cut), WIRE_MORE);
	}
	assert_int_equal(wire_check(&grown, sent.bytes, sent.size), WIRE_READY);
}

static void a_pair_may_be_split_over_records_anywhere(void **state)
{
	static const char pairs[] = "\17\2SCRIPT_FILENAME/x\200\0\0\1\200\0\0\2BCD";
	const size_t size = sizeof(pairs) - 1;

	(void)state;
	for (size_t first = 1; first < size; first++) {
		for (size_t second = first; second < size; second++) {
			sent.size = 0;
			send_begin(ID, WIRE_RESPONDER, 0);
			send_record(WIRE_PARAMS, ID, pairs, first);
			if (second > first)
				send_record(WIRE_PARAMS, ID, pairs + first, second - first);
			send_record(WIRE_PARAMS, ID, pairs + second, size - second);
			send_record(WIRE_PARAMS, ID, NULL, 0);
			assert_null(judge_sent(WIRE_READY).unfit);
		}
	}
}

static void params_in_records_of_one_byte_are_accepted(void **state)
{
	static const char pairs[] = "\13\1SCRIPT_NAME/\1\1AB";

	(void)state;
	send_begin(ID, WIRE_RESPONDER, 0);
	for (size_t i = 0; i < sizeof(pairs) - 1; i++)
		send_padded(WIRE_PARAMS, ID, pairs + i, 1, 255);
	send_record(WIRE_PARAMS, ID, NULL, 0);
	assert_null(judge_sent(WIRE_READY).unfit);
}

static void two_hundred_headers_are_accepted(void **state)
{
	unsigned char block[8192];
	char name[32];
	size_t size = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		const struct wire_param param = {.name = (unsigned char *)name,
		    .name_size = (size_t)snprintf(name, sizeof(name), "HTTP_X_%d", i),
		    .value = (const unsigned char *)"value",
		    .value_size = 5};

		size += wire_param_write(block + size, sizeof(block) - size, &param);
	}
	send_begin(ID, WIRE_RESPONDER, 0);
	send_record(WIRE_PARAMS, ID, block, size);
	send_record(WIRE_PARAMS, ID, NULL, 0);
	judge_sent(WIRE_READY);
}

static void another_version_is_malformed_at_its_first_byte(void **state)
{
	(void)state;
	for (int version = 0; version <= 255; version++) {
		struct wire_check check = {.rules = &rules};
		unsigned char byte = (unsigned char)version;

		assert_int_equal(
		    wire_check(&check, &byte, 1), version == 1 ? WIRE_MORE : WIRE_MALFORMED);
	}
}

static void a_bad_version_in_later_params_is_malformed(void **state)
{
	(void)state;
	send_request(ID);
	sent.bytes[sent.size - WIRE_HEADER] = 2;
	assert_malformed();
}

static void http_and_noise_are_malformed(void **state)
{
	(void)state;
	memcpy(sent.bytes, "GET / HTTP/1.1\r\n\r\n", 18);
	sent.size = 18;
	assert_malformed();
}

static void an_unknown_management_record_is_answered_and_the_connection_goes_on(void **state)
{
	static const uint8_t types[] = {
	    0, WIRE_ABORT_REQUEST, WIRE_PARAMS, WIRE_DATA, 12, 200, 255};

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		struct wire_check check;
		size_t first;

		sent.size = 0;
		send_padded(types[i], 0, "xyz", 3, 5);
		first = sent.size;
		send_request(ID);
		check = judge_sent(WIRE_ANSWER);
		assert_int_equal(check.take, first);
		assert_false(check.close);
		assert_int_equal(check.answer_size, WIRE_FIXED);
		assert_int_equal(check.answer[1], WIRE_UNKNOWN_TYPE);
		assert_int_equal(check.answer[8], types[i]);
		assert_int_equal(
		    wire_check(&check, sent.bytes + first, sent.size - first), WIRE_READY);
	}
}

/* Take off and ignore what is at the head; returns how often, and leaves the last verdict. */
static int drop_ignored(struct wire_check *check, enum wire_verdict *last)
{
	size_t at = 0;
	int dropped = 0;

	while ((*last = wire_check(check, sent.bytes + at, sent.size - at)) == WIRE_ANSWER &&
	       check->answer_size == 0) {
		at += check->take;
		dropped++;
	}
	return dropped;
}

static void sixteen_records_of_unknown_type_are_ignored_and_no_more(void **state)
{
	struct wire_check check = {.rules = &rules};
	enum wire_verdict last;

	(void)state;
	for (int i = 0; i < 16; i++)
		send_record(99, ID, "x", 1);
	send_request(ID);
	assert_int_equal(drop_ignored(&check, &last), 16);
	assert_int_equal(last, WIRE_READY);

	sent.size = 0;
	wire_check_restart(&check);
	for (int i = 0; i < 17; i++)
		send_record(99, ID, "x", 1);
	assert_int_equal(drop_ignored(&check, &last), 16);
	assert_int_equal(last, WIRE_MALFORMED);
}

static void seventeen_unknown_records_between_params_are_too_many(void **state)
{
	(void)state;
	send_begun("\1\1AB");
	for (int i = 0; i < 17; i++)
		send_record(99, ID, "x", 1);
	assert_malformed();
}

static void records_of_no_request_are_ignored_however_many(void **state)
{
	struct wire_check check = {.rules = &rules};
	enum wire_verdict last;

	(void)state;
	for (int i = 0; i < 20; i++) {
		send_params(OTHER, "\1\1AB");
		send_record(WIRE_STDIN, OTHER, "body", 4);
		send_record(WIRE_DATA, OTHER, "data", 4);
		send_record(WIRE_ABORT_REQUEST, OTHER, NULL, 0);
	}
	send_request(ID);
	assert_int_equal(drop_ignored(&check, &last), 80);
	assert_int_equal(last, WIRE_READY);
}

static void another_role_is_answered_with_unknown_role(void **state)
{
	static const unsigned roles[] = {0, WIRE_AUTHORIZER, WIRE_FILTER, 9, 257, 65535};

	(void)state;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		unsigned char expected[WIRE_FIXED];
		struct wire_check check;

		sent.size = 0;
		send_begin(ID, roles[i], i % 2 == 0 ? WIRE_KEEP_CONN : 0);
		check = judge_sent(WIRE_ANSWER);
		wire_end_write(expected, ID, 0, WIRE_UNKNOWN_ROLE);
		assert_int_equal(check.answer_size, WIRE_FIXED);
		assert_memory_equal(check.answer, expected, WIRE_FIXED);
		assert_int_equal(check.take, sent.size);
		assert_int_equal(check.close, i % 2 != 0);
	}
}

static void the_rest_of_a_refused_request_is_ignored(void **state)
{
	struct wire_check check = {.rules = &rules};
	enum wire_verdict last;
	size_t begin;

	(void)state;
	send_begin(OTHER, WIRE_FILTER, WIRE_KEEP_CONN);
	begin = sent.size;
	send_params(OTHER, "\1\1AB");
	send_record(WIRE_PARAMS, OTHER, NULL, 0);
	send_record(WIRE_STDIN, OTHER, NULL, 0);
	send_request(ID);
	assert_int_equal(wire_check(&check, sent.bytes, sent.size), WIRE_ANSWER);
	memmove(sent.bytes, sent.bytes + begin, sent.size - begin);
	sent.size -= begin;
	assert_int_equal(drop_ignored(&check, &last), 3);
	assert_int_equal(last, WIRE_READY);
	assert_int_equal(check.request_id, ID);
}

static void a_begin_of_wrong_size_is_malformed_before_its_body_comes(void **state)
{
	static const size_t sizes[] = {0, 3, 7, 9, 16};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		sent.size = 0;
		send_record(WIRE_BEGIN_REQUEST, ID, "\0\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0", sizes[i]);
		sent.size = WIRE_HEADER;
		assert_malformed();
	}
}

static void a_begin_with_id_0_is_malformed(void **state)
{
	(void)state;
	send_begin(0, WIRE_RESPONDER, 0);
	assert_malformed();
}

static void padding_where_libfcgi_forgets_it_is_good_but_unfit(void **state)
{
	struct wire_check check;

	(void)state;
	send_padded(WIRE_BEGIN_REQUEST, ID, "\0\1\1\0\0\0\0\0", 8, 255);
	send_params(ID, "\1\1AB");
	send_record(WIRE_PARAMS, ID, NULL, 0);
	check = judge_sent(WIRE_READY);
	assert_non_null(check.unfit);
	assert_int_equal(check.take, sent.size);

	sent.size = 0;
	send_begun("\1\1AB");
	send_padded(WIRE_PARAMS, ID, NULL, 0, 1);
	assert_non_null(judge_sent(WIRE_READY).unfit);
}

static void padding_behind_params_is_fit(void **state)
{
	(void)state;
	send_begin(ID, WIRE_RESPONDER, 0);
	send_padded(WIRE_PARAMS, ID, "\1\1AB", 4, 255);
	send_record(WIRE_PARAMS, ID, NULL, 0);
	assert_null(judge_sent(WIRE_READY).unfit);
}

static void no_params_are_a_bad_request(void **state)
{
	(void)state;
	send_begin(ID, WIRE_RESPONDER, 0);
	send_record(WIRE_PARAMS, ID, NULL, 0);
	assert_non_null(judge_sent(WIRE_BAD_REQUEST).reason);
}

static void an_empty_name_is_a_bad_request(void **state)
{
	(void)state;
	assert_bad("\0\1B\1\1AB");
	assert_bad("\1\1AB\0\0");
}

static void nul_and_equals_in_a_name_are_a_bad_request(void **state)
{
	(void)state;
	assert_bad("\3\1A=Bx");
	assert_bad("\3\1A\0Bx");
	assert_bad("\1\1=x");
}

static void nul_in_a_value_is_a_bad_request(void **state)
{
	(void)state;
	assert_bad("\1\3Ax\0y");
}

static void a_second_script_filename_is_a_web_servers_last_word(void **state)
{
	(void)state;
	send_begun("\17\2SCRIPT_FILENAME/a\1\0A\17\2SCRIPT_FILENAME/b\1\0A");
	send_record(WIRE_PARAMS, ID, NULL, 0);
	assert_null(judge_sent(WIRE_READY).unfit);
}

static void a_second_script_filename_from_the_relay_is_a_bad_request(void **state)
{
	(void)state;
	from_relay = true;
	assert_bad("\17\2SCRIPT_FILENAME/a\1\0A\17\2SCRIPT_FILENAME/b");
}

static void any_other_name_may_come_twice(void **state)
{
	(void)state;
	from_relay = true;
	send_begun("\17\0SCRIPT_FILENAME\17\0SCRIPT_FILENAMX\17\0SCRIPT_FILENAMX\1\0A\1\0A");
	send_record(WIRE_PARAMS, ID, NULL, 0);
	judge_sent(WIRE_READY);
}

static void params_that_end_within_a_pair_are_malformed(void **state)
{
	static const char pairs[] = "\200\0\0\2\200\0\0\2ABCD";

	(void)state;
	for (size_t cut = 1; cut < sizeof(pairs) - 1; cut++) {
		sent.size = 0;
		send_begin(ID, WIRE_RESPONDER, 0);
		send_record(WIRE_PARAMS, ID, pairs, cut);
		send_record(WIRE_PARAMS, ID, NULL, 0);
		assert_malformed();
	}
}

static void a_length_of_0x7fffffff_is_malformed(void **state)
{
	(void)state;
	send_begun("\377\377\377\377\1AB");
	assert_malformed();
	sent.size = 0;
	send_begun("\1\377\377\377\377AB");
	assert_malformed();
}

static void announced_params_over_the_limit_are_too_large_at_once(void **state)
{
	struct wire_check check;

	(void)state;
	send_begun("\1\200\20\0\0A"); /* a value of 1 MiB, of which nothing has come */
	check = judge_sent(WIRE_TOO_LARGE);
	assert_int_equal(check.request_id, ID);
	assert_true(check.keep_conn);
}

static void params_are_too_large_from_the_first_byte_over_the_limit(void **state)
{
	static unsigned char pair[65537];
	const size_t name = 1, lengths = 1 + 4;

	(void)state;
	for (size_t over = 0; over <= 1; over++) {
		size_t value = rules.max_params - lengths - name + over;

		memset(pair, 'x', sizeof(pair));
		wire_lengths_write(pair, name, value);
		sent.size = 0;
		send_begin(ID, WIRE_RESPONDER, 0);
		send_record(WIRE_PARAMS, ID, pair, 40000);
		send_record(WIRE_PARAMS, ID, pair + 40000, lengths + name + value - 40000);
		send_record(WIRE_PARAMS, ID, NULL, 0);
		judge_sent(over ? WIRE_TOO_LARGE : WIRE_READY);
	}
}

static void twenty_thousand_names_are_too_large(void **state)
{
	static unsigned char block[40000];

	(void)state;
	for (size_t i = 0; i < 10000; i++)
		memcpy(block + 4 * i, "\2\0AB", 4);
	send_begin(ID, WIRE_RESPONDER, 0);
	send_record(WIRE_PARAMS, ID, block, sizeof(block));
	judge_sent(WIRE_MORE);
	send_record(WIRE_PARAMS, ID, block, sizeof(block));
	judge_sent(WIRE_TOO_LARGE);
}

static void a_head_of_mostly_padding_is_too_large(void **state)
{
	(void)state;
	send_begin(ID, WIRE_RESPONDER, 0);
	while (sent.size + 264 <= rules.max_head)
		send_padded(WIRE_PARAMS, ID, "A", 1, 255);
	judge_sent(WIRE_MORE);
	send_padded(WIRE_PARAMS, ID, "A", 1, 255);
	judge_sent(WIRE_TOO_LARGE);
}

static void stdin_before_the_end_of_params_is_malformed(void **state)
{
	(void)state;
	send_begun("\1\1AB");
	send_record(WIRE_STDIN, ID, "body", 4);
	assert_malformed();
}

static void a_second_begin_of_the_same_request_is_malformed(void **state)
{
	(void)state;
	send_begun("\1\1AB");
	send_begin(ID, WIRE_RESPONDER, 0);
	assert_malformed();
}

static void a_begin_of_another_request_is_left_to_libfcgi(void **state)
{
	struct wire_check check;

	(void)state;
	send_begun("\1\1AB");
	send_begin(OTHER, WIRE_RESPONDER, 0);
	send_params(OTHER, "\1\1CD");
	send_record(WIRE_PARAMS, ID, NULL, 0);
	check = judge_sent(WIRE_READY);
	assert_int_equal(check.request_id, ID);
	assert_null(check.unfit);
}

static void an_empty_record_of_another_request_before_params_is_unfit(void **state)
{
	(void)state;
	send_begun("\1\1AB");
	send_record(WIRE_STDIN, OTHER, NULL, 0);
	send_params(ID, "\1\1CD");
	send_record(WIRE_PARAMS, ID, NULL, 0);
	assert_non_null(judge_sent(WIRE_READY).unfit);

	sent.size = 0;
	send_begun("\1\1AB");
	send_record(WIRE_STDIN, OTHER, NULL, 0);
	send_record(WIRE_PARAMS, ID, NULL, 0);
	assert_null(judge_sent(WIRE_READY).unfit);
}

static void records_of_other_types_between_params_are_unfit(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t id;
	} records[] = {
	    {99, ID}, {WIRE_DATA, ID}, {WIRE_GET_VALUES, ID}, {WIRE_GET_VALUES, 0}, {99, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		sent.size = 0;
		send_begun("\1\1AB");
		send_record(records[i].type, records[i].id, NULL, 0);
		send_record(WIRE_PARAMS, ID, NULL, 0);
		assert_non_null(judge_sent(WIRE_READY).unfit);
	}
}

static void unfit_is_forgotten_with_the_request(void **state)
{
	struct wire_check check = {.rules = &rules};

	(void)state;
	send_padded(WIRE_BEGIN_REQUEST, ID, "\0\1\1\0\0\0\0\0", 8, 8);
	send_record(WIRE_ABORT_REQUEST, ID, NULL, 0);
	assert_int_equal(wire_check(&check, sent.bytes, sent.size), WIRE_ANSWER);
	sent.size = 0;
	send_request(ID);
	assert_int_equal(wire_check(&check, sent.bytes, sent.size), WIRE_READY);
	assert_null(check.unfit);
}

static void an_abort_before_the_end_of_params_ends_the_request(void **state)
{
	unsigned char expected[WIRE_FIXED];
	struct wire_check check;

	(void)state;
	send_begun("\1\1A");
	send_record(WIRE_ABORT_REQUEST, ID, NULL, 0);
	check = judge_sent(WIRE_ANSWER);
	wire_end_write(expected, ID, 0, WIRE_REQUEST_COMPLETE);
	assert_int_equal(check.take, sent.size);
	assert_int_equal(check.answer_size, WIRE_FIXED);
	assert_memory_equal(check.answer, expected, WIRE_FIXED);
	assert_false(check.close);
}

static void get_values_is_answered_with_the_names_it_asks_for(void **state)
{
	static const char all[] = "\16\0FCGI_MAX_CONNS\15\0FCGI_MAX_REQS\17\0FCGI_MPXS_CONNS\1\0X";
	static const char answer[] =
	    "\16\3FCGI_MAX_CONNS100\15\2FCGI_MAX_REQS20\17\1FCGI_MPXS_CONNS0";
	struct wire_header header;
	struct wire_check check;

	(void)state;
	send_record(WIRE_GET_VALUES, 0, all, sizeof(all) - 1);
	check = judge_sent(WIRE_ANSWER);
	wire_header_read(check.answer, &header);
	assert_int_equal(header.type, WIRE_GET_VALUES_RESULT);
	assert_int_equal(header.request_id, 0);
	assert_int_equal(header.content, sizeof(answer) - 1);
	assert_int_equal(check.answer_size, WIRE_HEADER + header.content + header.padding);
	assert_memory_equal(check.answer + WIRE_HEADER, answer, sizeof(answer) - 1);
	assert_false(check.close);

	sent.size = 0;
	send_record(WIRE_GET_VALUES, 0, "\1\0X", 3);
	check = judge_sent(WIRE_ANSWER);
	assert_int_equal(check.answer_size, WIRE_HEADER);
}

static void a_name_asked_for_again_and_again_is_answered_once(void **state)
{
	unsigned char block[60000];
	size_t size = 0;

	(void)state;
	while (size + 17 <= sizeof(block)) {
		memcpy(block + size, "\17\0FCGI_MPXS_CONNS", 17);
		size += 17;
	}
	send_record(WIRE_GET_VALUES, 0, block, size);
	assert_int_equal(judge_sent(WIRE_ANSWER).answer_size, WIRE_HEADER + 18 + wire_padding(18));
}

static void a_malformed_get_values_is_malformed(void **state)
{
	(void)state;
	send_record(WIRE_GET_VALUES, 0, "\16\0FCGI_MAX", 10);
	assert_malformed();
}

static void get_values_with_a_request_id_is_ignored(void **state)
{
	(void)state;
	send_record(WIRE_GET_VALUES, 1, "\15\0FCGI_MAX_REQS", 15);
	assert_int_equal(judge_sent(WIRE_ANSWER).answer_size, 0);
}

static void records_that_only_the_host_sends_are_malformed(void **state)
{
	static const uint8_t types[] = {
	    WIRE_END_REQUEST, WIRE_STDOUT, WIRE_STDERR, WIRE_GET_VALUES_RESULT, WIRE_UNKNOWN_TYPE};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(types); i++) {
		sent.size = 0;
		if (i % 2 == 1)
			send_begun("\1\1AB");
		send_record(types[i / 2], ID, NULL, 0);
		assert_malformed();
	}
}

static void the_end_of_a_request_is_found_where_it_is_among_the_bytes(void **state)
{
	struct wire_check check;
	size_t end;

	(void)state;
	send_request(ID);
	send_padded(WIRE_STDIN, ID, "body", 4, 4);
	send_record(WIRE_STDIN, ID, NULL, 0);
	end = sent.size;
	send_request(OTHER);
	check = judge_sent(WIRE_READY);
	assert_int_equal(wire_check_end(&check, sent.bytes, sent.size), end);
	for (size_t cut = check.take; cut < end; cut++)
		assert_int_equal(wire_check_end(&check, sent.bytes, cut), 0);
}

static void the_end_of_a_request_is_not_found_behind_what_is_not_its_body(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t id;
	} between[] = {{WIRE_ABORT_REQUEST, ID}, {WIRE_DATA, ID}, {WIRE_STDIN, OTHER},
	    {WIRE_BEGIN_REQUEST, OTHER}, {WIRE_GET_VALUES, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
		struct wire_check check;

		sent.size = 0;
		send_request(ID);
		send_record(WIRE_STDIN, ID, "body", 4);
		send_record(between[i].type, between[i].id, NULL, 0);
		send_record(WIRE_STDIN, ID, NULL, 0);
		check = judge_sent(WIRE_READY);
		assert_int_equal(wire_check_end(&check, sent.bytes, sent.size), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, begin_test)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_whole_request_is_ready_where_its_params_end),
	    TEST(without_the_flag_the_connection_is_not_kept),
	    TEST(a_request_cut_at_any_byte_is_incomplete),
	    TEST(a_pair_may_be_split_over_records_anywhere),
	    TEST(params_in_records_of_one_byte_are_accepted),
	    TEST(two_hundred_headers_are_accepted),
	    TEST(another_version_is_malformed_at_its_first_byte),
	    TEST(a_bad_version_in_later_params_is_malformed),
	    TEST(http_and_noise_are_malformed),
	    TEST(an_unknown_management_record_is_answered_and_the_connection_goes_on),
	    TEST(sixteen_records_of_unknown_type_are_ignored_and_no_more),
	    TEST(seventeen_unknown_records_between_params_are_too_many),
	    TEST(records_of_no_request_are_ignored_however_many),
	    TEST(another_role_is_answered_with_unknown_role),
	    TEST(the_rest_of_a_refused_request_is_ignored),
	    TEST(a_begin_of_wrong_size_is_malformed_before_its_body_comes),
	    TEST(a_begin_with_id_0_is_malformed),
	    TEST(padding_where_libfcgi_forgets_it_is_good_but_unfit),
	    TEST(padding_behind_params_is_fit),
	    TEST(no_params_are_a_bad_request),
	    TEST(an_empty_name_is_a_bad_request),
	    TEST(nul_and_equals_in_a_name_are_a_bad_request),
	    TEST(nul_in_a_value_is_a_bad_request),
	    TEST(a_second_script_filename_is_a_web_servers_last_word),
	    TEST(a_second_script_filename_from_the_relay_is_a_bad_request),
	    TEST(any_other_name_may_come_twice),
	    TEST(params_that_end_within_a_pair_are_malformed),
	    TEST(a_length_of_0x7fffffff_is_malformed),
	    TEST(announced_params_over_the_limit_are_too_large_at_once),
	    TEST(params_are_too_large_from_the_first_byte_over_the_limit),
	    TEST(twenty_thousand_names_are_too_large),
	    TEST(a_head_of_mostly_padding_is_too_large),
	    TEST(stdin_before_the_end_of_params_is_malformed),
	    TEST(a_second_begin_of_the_same_request_is_malformed),
	    TEST(a_begin_of_another_request_is_left_to_libfcgi),
	    TEST(an_empty_record_of_another_request_before_params_is_unfit),
	    TEST(records_of_other_types_between_params_are_unfit),
	    TEST(unfit_is_forgotten_with_the_request),
	    TEST(an_abort_before_the_end_of_params_ends_the_request),
	    TEST(get_values_is_answered_with_the_names_it_asks_for),
	    TEST(a_name_asked_for_again_and_again_is_answered_once),
	    TEST(a_malformed_get_values_is_malformed),
	    TEST(get_values_with_a_request_id_is_ignored),
	    TEST(records_that_only_the_host_sends_are_malformed),
	    TEST(the_end_of_a_request_is_found_where_it_is_among_the_bytes),
	    TEST(the_end_of_a_request_is_not_found_behind_what_is_not_its_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
