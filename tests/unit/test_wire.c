/* Records, name-value pairs and replies, as bytes: host/net/wire.h. */
#include "net/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID 7

static void a_header_is_read_as_it_was_written(void **state)
{
	const struct wire_header written = {
	    .version = 1, .type = 255, .request_id = 0xfedc, .content = 0xba98, .padding = 0xff};
	struct wire_header read;
	unsigned char bytes[WIRE_HEADER];

	(void)state;
	wire_header_write(bytes, &written);
	wire_header_read(bytes, &read);
	assert_memory_equal(bytes, "\x01\xff\xfe\xdc\xba\x98\xff\x00", 8);
	assert_int_equal(read.version, 1);
	assert_int_equal(read.type, 255);
	assert_int_equal(read.request_id, 0xfedc);
	assert_int_equal(read.content, 0xba98);
	assert_int_equal(read.padding, 0xff);
}

static void padding_brings_a_record_to_a_multiple_of_8(void **state)
{
	(void)state;
	for (size_t content = 0; content <= WIRE_CONTENT; content++) {
		assert_int_equal((content + wire_padding(content)) % 8, 0);
		assert_true(wire_padding(content) < 8);
	}
}

static void whole_records_are_written_as_the_specification_has_them(void **state)
{
	unsigned char out[WIRE_FIXED];

	(void)state;
	assert_int_equal(wire_begin_write(out, ID, WIRE_RESPONDER, WIRE_KEEP_CONN), WIRE_FIXED);
	assert_memory_equal(out, "\1\1\0\7\0\10\0\0\0\1\1\0\0\0\0\0", WIRE_FIXED);
	assert_int_equal(wire_end_write(out, ID, 0x01020304, WIRE_UNKNOWN_ROLE), WIRE_FIXED);
	assert_memory_equal(out, "\1\3\0\7\0\10\0\0\1\2\3\4\3\0\0\0", WIRE_FIXED);
	assert_int_equal(wire_unknown_type_write(out, 99), WIRE_FIXED);
	assert_memory_equal(out, "\1\13\0\0\0\10\0\0\143\0\0\0\0\0\0\0", WIRE_FIXED);
}

static void pairs_of_any_length_are_read_as_they_were_written(void **state)
{
	static const size_t sizes[] = {0, 1, 127, 128, 129, 65536};
	static unsigned char text[65536], block[2 * sizeof(text) + 8];
	const size_t count = sizeof(sizes) / sizeof(sizes[0]);

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < count * count; i++) {
		const struct wire_param written = {.name = text,
		    .name_size = sizes[i / count],
		    .value = text,
		    .value_size = sizes[i % count]};
		size_t size = wire_param_write(block, sizeof(block), &written);
		const unsigned char *at = block;
		struct wire_param read;

		assert_int_equal(wire_param_next(&at, &size, &read), 1);
		assert_int_equal(read.name_size, written.name_size);
		assert_int_equal(read.value_size, written.value_size);
		assert_memory_equal(read.name, text, read.name_size);
		assert_memory_equal(read.value, text, read.value_size);
		assert_int_equal(wire_param_next(&at, &size, &read), 0);
	}
}

static void a_pair_that_does_not_fit_is_not_written(void **state)
{
	const struct wire_param param = {.name = (const unsigned char *)"NAME",
	    .name_size = 4,
	    .value = (const unsigned char *)"value",
	    .value_size = 5};
	unsigned char block[11];

	(void)state;
	memset(block, 0, sizeof(block));
	assert_int_equal(wire_param_write(block, 10, &param), 0);
	assert_int_equal(block[0], 0);
	assert_int_equal(wire_param_write(block, 11, &param), 11);
	assert_memory_equal(block, "\4\5NAMEvalue", 11);
}

static void a_pair_cut_at_any_byte_is_malformed(void **state)
{
	unsigned char block[8 + 130 + 140];
	unsigned char text[140] = {0};
	const struct wire_param whole = {
	    .name = text, .name_size = 130, .value = text, .value_size = 140};
	const size_t size = wire_param_write(block, sizeof(block), &whole);

	(void)state;
	for (size_t cut = 1; cut < size; cut++) {
		unsigned char *copy = malloc(cut);
		const unsigned char *at = copy;
		size_t left = cut;
		struct wire_param param;

		assert_non_null(copy);
		memcpy(copy, block, cut);
		assert_int_equal(wire_param_next(&at, &left, &param), -1);
		free(copy);
	}
}

static void a_length_near_the_largest_number_is_malformed(void **state)
{
	static const unsigned char block[] = "\xff\xff\xff\xff\xff\xff\xff\xff"
					     "NAME";
	const unsigned char *at = block;
	size_t size = sizeof(block) - 1;
	struct wire_param param;

	(void)state;
	assert_int_equal(wire_param_next(&at, &size, &param), -1);
}

/* A reply with STDOUT "Hello, world", STDERR "oops" and END_REQUEST, padded as `padding` says. */
static size_t sample_reply(unsigned char *out, uint8_t padding)
{
	static const struct {
		uint8_t type;
		const char *content;
	} records[] = {{WIRE_STDOUT, "Hello,"}, {WIRE_STDERR, "oops"}, {WIRE_STDOUT, " world"},
	    {WIRE_STDOUT, ""}, {WIRE_STDERR, ""}};
	size_t at = 0;

	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		const struct wire_header header = {.version = 1,
		    .type = records[i].type,
		    .request_id = ID,
		    .content = (uint16_t)strlen(records[i].content),
		    .padding = padding};

		wire_header_write(out + at, &header);
		memcpy(out + at + WIRE_HEADER, records[i].content, header.content);
		memset(out + at + WIRE_HEADER + header.content, 0xee, padding);
		at += (size_t)WIRE_HEADER + header.content + padding;
	}
	return at + wire_end_write(out + at, ID, 5, WIRE_REQUEST_COMPLETE);
}

/* What was read of a reply so far. */
struct heard {
	char out[64], err[64];
};

/* Feed size bytes and return the last event. */
static enum wire_reply_event feed(
    struct wire_reply *reply, const unsigned char *bytes, size_t size, struct heard *heard)
{
	for (;;) {
		const unsigned char *data = NULL;
		size_t data_size = 0;
		enum wire_reply_event event =
		    wire_reply_next(reply, &bytes, &size, &data, &data_size);

		if (event != WIRE_REPLY_STDOUT && event != WIRE_REPLY_STDERR)
			return event;
		assert_true(data_size > 0);
		strncat(event == WIRE_REPLY_STDOUT ? heard->out : heard->err, (const char *)data,
		    data_size);
	}
}

static void a_reply_is_read_alike_in_pieces_of_any_size(void **state)
{
	unsigned char bytes[2048];

	(void)state;
	for (unsigned padding = 0; padding <= 255; padding += 51) {
		size_t size = sample_reply(bytes, (uint8_t)padding);

		for (size_t piece = 1; piece <= size; piece++) {
			struct wire_reply reply = {.request_id = ID};
			struct heard heard = {"", ""};
			enum wire_reply_event event = WIRE_REPLY_MORE;

			for (size_t at = 0; at < size; at += piece)
				event = feed(&reply, bytes + at,
				    size - at < piece ? size - at : piece, &heard);
			assert_int_equal(event, WIRE_REPLY_END);
			assert_int_equal(reply.app_status, 5);
			assert_int_equal(reply.protocol_status, WIRE_REQUEST_COMPLETE);
			assert_string_equal(heard.out, "Hello, world");
			assert_string_equal(heard.err, "oops");
		}
	}
}

static void a_reply_cut_at_any_byte_has_not_ended(void **state)
{
	unsigned char bytes[2048];
	size_t size = sample_reply(bytes, 3);

	(void)state;
	for (size_t cut = 0; cut < size; cut++) {
		struct wire_reply reply = {.request_id = ID};
		struct heard heard = {"", ""};

		assert_int_equal(feed(&reply, bytes, cut, &heard), WIRE_REPLY_MORE);
	}
}

static void the_reason_of_a_refusal_is_in_the_protocol_status(void **state)
{
	struct wire_reply reply = {.request_id = ID};
	struct heard heard = {"", ""};
	unsigned char bytes[WIRE_FIXED];

	(void)state;
	wire_end_write(bytes, ID, 0, WIRE_OVERLOADED);
	assert_int_equal(feed(&reply, bytes, sizeof(bytes), &heard), WIRE_REPLY_END);
	assert_int_equal(reply.protocol_status, WIRE_OVERLOADED);
}

/* A good beginning, then this header: the reply is broken and stays so. */
static void assert_breaks(uint8_t version, uint8_t type, uint16_t id, uint16_t content)
{
	const struct wire_header header = {
	    .version = version, .type = type, .request_id = id, .content = content};
	struct wire_reply reply = {.request_id = ID};
	struct heard heard = {"", ""};
	unsigned char bytes[2048];
	size_t good = sample_reply(bytes, 0) - WIRE_FIXED;

	wire_header_write(bytes + good, &header);
	assert_int_equal(feed(&reply, bytes, good + WIRE_HEADER, &heard), WIRE_REPLY_BROKEN);
	assert_non_null(reply.reason);
	wire_end_write(bytes, ID, 0, WIRE_REQUEST_COMPLETE);
	assert_int_equal(feed(&reply, bytes, WIRE_FIXED, &heard), WIRE_REPLY_BROKEN);
}

static void a_record_of_type_255_breaks_a_reply_for_good(void **state)
{
	(void)state;
	assert_breaks(1, WIRE_POISON, ID, 0);
}

static void a_record_of_another_version_breaks_a_reply(void **state)
{
	(void)state;
	assert_breaks(0, WIRE_STDOUT, ID, 1);
	assert_breaks(255, WIRE_STDOUT, ID, 1);
}

static void a_record_of_another_request_breaks_a_reply(void **state)
{
	(void)state;
	assert_breaks(1, WIRE_STDOUT, ID + 1, 1);
	assert_breaks(1, WIRE_END_REQUEST, 0, 8);
}

static void a_record_that_no_responder_sends_breaks_a_reply(void **state)
{
	(void)state;
	for (unsigned type = 0; type <= 255; type++)
		if (type != WIRE_STDOUT && type != WIRE_STDERR && type != WIRE_END_REQUEST)
			assert_breaks(1, (uint8_t)type, ID, 0);
}

static void an_end_request_of_wrong_size_breaks_a_reply(void **state)
{
	(void)state;
	assert_breaks(1, WIRE_END_REQUEST, ID, 0);
	assert_breaks(1, WIRE_END_REQUEST, ID, 7);
	assert_breaks(1, WIRE_END_REQUEST, ID, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_header_is_read_as_it_was_written),
	    cmocka_unit_test(padding_brings_a_record_to_a_multiple_of_8),
	    cmocka_unit_test(whole_records_are_written_as_the_specification_has_them),
	    cmocka_unit_test(pairs_of_any_length_are_read_as_they_were_written),
	    cmocka_unit_test(a_pair_that_does_not_fit_is_not_written),
	    cmocka_unit_test(a_pair_cut_at_any_byte_is_malformed),
	    cmocka_unit_test(a_length_near_the_largest_number_is_malformed),
	    cmocka_unit_test(a_reply_is_read_alike_in_pieces_of_any_size),
	    cmocka_unit_test(a_reply_cut_at_any_byte_has_not_ended),
	    cmocka_unit_test(the_reason_of_a_refusal_is_in_the_protocol_status),
	    cmocka_unit_test(a_record_of_type_255_breaks_a_reply_for_good),
	    cmocka_unit_test(a_record_of_another_version_breaks_a_reply),
	    cmocka_unit_test(a_record_of_another_request_breaks_a_reply),
	    cmocka_unit_test(a_record_that_no_responder_sends_breaks_a_reply),
	    cmocka_unit_test(an_end_request_of_wrong_size_breaks_a_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
