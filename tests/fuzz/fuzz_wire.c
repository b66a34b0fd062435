/*
 * Fuzz harness for wire and wire_check. The same bytes are taken as what a client sends, as a reply
 * and as a block of name-value pairs. Besides memory errors it looks for what must hold for any
 * bytes: a verdict does not depend on how they arrive, never reaches past them, and comes to an
 * end.
 */
#include "replay.h"

#include "net/wire_check.h"

#include <string.h>

static const struct wire_rules rules = {.max_params = 4096,
    .max_head = 8192,
    .max_ignored = 16,
    .max_conns = 4294967295U,
    .max_reqs = 4294967295U,
    .mpxs_conns = 4294967295U};

/* All bytes at once, against one more at a time. Returns how many bytes to take off. */
static size_t check_once(
    struct wire_check *whole, struct wire_check *grown, const uint8_t *bytes, size_t size)
{
	enum wire_verdict verdict = wire_check(whole, bytes, size), later = WIRE_MORE;

	for (size_t n = 0; n <= size && later == WIRE_MORE; n++)
		later = wire_check(grown, bytes, n);
	insist(verdict == later, "the verdict depends on how the bytes arrive");
	if (verdict == WIRE_MALFORMED)
		insist(whole->reason != NULL, "malformed without a reason");
	if (verdict == WIRE_READY || verdict == WIRE_BAD_REQUEST) {
		size_t end = wire_check_end(whole, bytes, size);

		insist(end == 0 || (end >= whole->take && end <= size), "an end outside the bytes");
		insist(whole->take > 0, "a request of no bytes");
		wire_check_restart(whole);
		wire_check_restart(grown);
	} else if (verdict != WIRE_ANSWER) {
		return 0;
	}
	insist(whole->take > 0 && whole->take <= size, "more to take than there is");
	insist(whole->take == grown->take, "what to take depends on how the bytes arrive");
	insist(whole->answer_size <= WIRE_ANSWER_MAX, "an answer larger than its place");
	return whole->take;
}

static void check_all(const uint8_t *bytes, size_t size, bool from_relay)
{
	struct wire_check whole = {.rules = &rules, .from_relay = from_relay}, grown = whole;
	size_t taken;

	while ((taken = check_once(&whole, &grown, bytes, size)) > 0) {
		bytes += taken;
		size -= taken;
	}
}

/* Read as a reply in pieces of this size; returns a number that stands for what was read. */
static uint64_t read_reply(const uint8_t *bytes, size_t size, size_t piece)
{
	struct wire_reply reply = {.request_id = 1};
	enum wire_reply_event event = WIRE_REPLY_MORE;
	uint64_t sum = 0;

	while (size > 0 && event == WIRE_REPLY_MORE) {
		size_t left = size < piece ? size : piece;
		const unsigned char *at = bytes, *data;
		size_t data_size;

		bytes += left;
		size -= left;
		while ((event = wire_reply_next(&reply, &at, &left, &data, &data_size)) ==
			   WIRE_REPLY_STDOUT ||
		       event == WIRE_REPLY_STDERR) {
			insist(data_size > 0, "an empty piece");
			for (size_t i = 0; i < data_size; i++)
				sum = sum * 31 + data[i] + (uint64_t)event;
		}
	}
	return sum * 31 + (uint64_t)event;
}

static void read_pairs(const uint8_t *bytes, size_t size)
{
	unsigned char copy[4096];
	struct wire_param param;

	while (wire_param_next(&bytes, &size, &param) == 1) {
		const unsigned char *at = copy;
		size_t written = wire_param_write(copy, sizeof(copy), &param);
		struct wire_param again;

		if (written == 0)
			continue;
		insist(
		    wire_param_next(&at, &written, &again) == 1, "a pair that is not read again");
		insist(again.name_size == param.name_size && again.value_size == param.value_size &&
			   memcmp(again.name, param.name, param.name_size) == 0 &&
			   memcmp(again.value, param.value, param.value_size) == 0,
		    "a pair that is read otherwise than written");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	check_all(bytes, size, false);
	check_all(bytes, size, true);
	insist(read_reply(bytes, size, 1) == read_reply(bytes, size, size + 1),
	    "a reply depends on how it arrives");
	read_pairs(bytes, size);
	return 0;
}
