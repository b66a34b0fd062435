/*
 * The checker walks over records, and in PARAMS over name-value pairs, which records may split
 * anywhere. It keeps only counters: PARAMS that are too large are refused by the lengths that they
 * announce, before they are held in memory.
 *
 * Records in front of a request that belong to none (management records, leftovers of a refused
 * request) are answered or ignored, and taken off the connection. Records between those of a
 * request cannot be taken out, since the bytes are only looked at. libfcgi misreads some of them,
 * and then `unfit` is set:
 *
 *  - it forgets the padding behind BEGIN_REQUEST and behind the empty PARAMS record, and reads it
 *    as the next header (its reader is reset at both places);
 *  - it takes a record of the same request and of another type for the end of the PARAMS;
 *  - it takes the content of a management record for PARAMS;
 *  - behind an empty record of another request it drops the content of the next record.
 *
 * It also leaves the padding of a body's end record in the socket, where it would pass for the
 * next request, when one of its reads ends right before that padding: wire_check_end accepts no
 * such record.
 *
 * Only responders are served. A body is not judged here, but once it is read (request_make.c).
 */
#include "net/wire_check.h"

#include <string.h>

#define HEAD_OVERHEAD 131072 /* bytes of record headers and padding in a head */
#define IGNORED_MAX 16

static const char filename[] = "SCRIPT_FILENAME";

static enum wire_verdict step(struct wire_check *check, const unsigned char *bytes, size_t size);
static enum wire_verdict judge_header(struct wire_check *check);
static enum wire_verdict judge_begin(struct wire_check *check);
static enum wire_verdict judge_pairs(
    struct wire_check *check, const unsigned char *bytes, size_t size);
static enum wire_verdict judge_record(struct wire_check *check, const unsigned char *content);
static enum wire_verdict begin(struct wire_check *check, const unsigned char *content);
static enum wire_verdict own_record(struct wire_check *check);
static enum wire_verdict foreign_record(struct wire_check *check);
static enum wire_verdict management_record(struct wire_check *check, const unsigned char *content);
static enum wire_verdict params_end(struct wire_check *check);
static enum wire_verdict end_request(struct wire_check *check, enum wire_status status);

struct wire_rules wire_rules_make(size_t max_params, size_t connections)
{
	return (struct wire_rules){.max_params = max_params,
	    .max_head = max_params + HEAD_OVERHEAD,
	    .max_ignored = IGNORED_MAX,
	    .max_conns = (unsigned)connections,
	    .max_reqs = (unsigned)connections};
}

static enum wire_verdict malformed(struct wire_check *check, const char *reason)
{
	check->reason = reason;
	return WIRE_MALFORMED;
}

static enum wire_verdict ignore(struct wire_check *check, const char *reason)
{
	check->reason = reason;
	check->take = check->state.seen;
	check->answer_size = 0;
	check->close = false;
	return WIRE_ANSWER;
}

void wire_check_restart(struct wire_check *check)
{
	memset(&check->state, 0, sizeof(check->state));
	check->ignored = 0;
	check->unfit = NULL;
}

enum wire_verdict wire_check(struct wire_check *check, const unsigned char *bytes, size_t size)
{
	struct wire_check_state *state = &check->state;
	enum wire_verdict verdict;
	size_t before;

	do {
		before = state->seen;
		verdict = step(check, bytes, size);
	} while (verdict == WIRE_MORE && state->seen != before);
	if (verdict == WIRE_ANSWER) {
		check->ignored += state->ignored;
		memset(state, 0, sizeof(*state));
	}
	return verdict;
}

/* Judge one record, or as much of it as is there. WIRE_MORE: go on, if any byte was there. */
static enum wire_verdict step(struct wire_check *check, const unsigned char *bytes, size_t size)
{
	struct wire_check_state *state = &check->state;
	enum wire_verdict verdict = WIRE_MORE;
	size_t n;

	if (!state->in_record) {
		if (state->seen < size && bytes[state->seen] != WIRE_VERSION)
			return malformed(check, "not a FastCGI record of version 1");
		if (size - state->seen < WIRE_HEADER)
			return WIRE_MORE;
		wire_header_read(bytes + state->seen, &state->header);
		state->seen += WIRE_HEADER;
		state->content_left = state->header.content;
		state->padding_left = state->header.padding;
		state->in_record = true;
		verdict = judge_header(check);
	}
	if (verdict == WIRE_MORE && state->content_left > 0) {
		n = size - state->seen < state->content_left ? size - state->seen
							     : state->content_left;
		verdict = judge_pairs(check, bytes + state->seen, n);
		state->seen += n;
		state->content_left -= n;
	}
	if (verdict != WIRE_MORE || state->content_left > 0)
		return verdict;
	n = size - state->seen < state->padding_left ? size - state->seen : state->padding_left;
	state->seen += n;
	state->padding_left -= n;
	if (state->padding_left > 0)
		return WIRE_MORE;
	state->in_record = false;
	return judge_record(
	    check, bytes + state->seen - state->header.padding - state->header.content);
}

static bool is_own(const struct wire_check *check)
{
	return check->state.begun && check->state.header.request_id == check->request_id;
}

/* Judge a record by its header alone. */
static enum wire_verdict judge_header(struct wire_check *check)
{
	const struct wire_check_state *state = &check->state;

	if (state->begun &&
	    state->seen + state->content_left + state->padding_left > check->rules->max_head)
		return WIRE_TOO_LARGE;
	switch (state->header.type) {
	case WIRE_BEGIN_REQUEST: return judge_begin(check);
	case WIRE_END_REQUEST:
	case WIRE_STDOUT:
	case WIRE_STDERR:
	case WIRE_GET_VALUES_RESULT:
	case WIRE_UNKNOWN_TYPE: return malformed(check, "a record that only the host's side sends");
	case WIRE_STDIN:
		if (is_own(check))
			return malformed(check, "STDIN before the end of PARAMS");
		break;
	default: break;
	}
	return WIRE_MORE;
}

static enum wire_verdict judge_begin(struct wire_check *check)
{
	if (check->state.header.request_id == 0)
		return malformed(check, "BEGIN_REQUEST with request id 0");
	if (check->state.header.content != 8)
		return malformed(check, "BEGIN_REQUEST of wrong size");
	if (is_own(check))
		return malformed(check, "a second BEGIN_REQUEST of the same request");
	return WIRE_MORE;
}

/* The two lengths in front of a pair are known; they are `taken` bytes. */
static enum wire_verdict pair_begin(struct wire_check *check, size_t taken)
{
	struct wire_check_state *state = &check->state;

	state->params += taken + state->name_left + state->value_left;
	if (state->params > check->rules->max_params)
		return WIRE_TOO_LARGE;
	if (state->name_left == 0)
		state->bad = "a parameter without a name";
	state->pairs++;
	state->name_at = state->lengths_have = 0;
	state->is_filename = state->name_left == sizeof(filename) - 1;
	return WIRE_MORE;
}

/*
 * Read the lengths in front of a pair. Nearly always they lie in one record; where a record ends
 * among them, their bytes are gathered one by one.
 */
static enum wire_verdict pair_lengths(
    struct wire_check *check, const unsigned char *bytes, size_t size, size_t *at)
{
	struct wire_check_state *state = &check->state;
	const unsigned char *next = bytes + *at;
	size_t left = size - *at, before = left;
	int result = 0;

	if (state->lengths_have == 0)
		result = wire_lengths_next(&next, &left, &state->name_left, &state->value_left);
	while (result == 0 && *at < size) {
		state->lengths[state->lengths_have++] = bytes[(*at)++];
		next = state->lengths;
		before = left = state->lengths_have;
		result = wire_lengths_next(&next, &left, &state->name_left, &state->value_left);
	}
	if (result < 0)
		return malformed(check, "a name or value of impossible length");
	if (result == 0) {
		state->name_left = state->value_left = 0;
		return WIRE_MORE;
	}
	if (state->lengths_have == 0)
		*at += before - left;
	return pair_begin(check, before - left);
}

static size_t pair_name(struct wire_check *check, const unsigned char *bytes, size_t size)
{
	struct wire_check_state *state = &check->state;
	size_t n = size < state->name_left ? size : state->name_left;

	if (memchr(bytes, '=', n) != NULL || memchr(bytes, 0, n) != NULL)
		state->bad = "'=' or NUL in the name of a parameter";
	if (state->is_filename && memcmp(bytes, filename + state->name_at, n) != 0)
		state->is_filename = false;
	state->name_at += n;
	state->name_left -= n;
	if (state->name_left > 0 || !state->is_filename)
		return n;
	if (state->has_filename && check->from_relay)
		state->bad = "SCRIPT_FILENAME is there twice";
	state->has_filename = true;
	return n;
}

static size_t pair_value(struct wire_check_state *state, const unsigned char *bytes, size_t size)
{
	size_t n = size < state->value_left ? size : state->value_left;

	if (memchr(bytes, 0, n) != NULL)
		state->bad = "NUL in the value of a parameter";
	state->value_left -= n;
	return n;
}

/* Judge the next content bytes of a record, if they are the request's PARAMS: a stream of pairs. */
static enum wire_verdict judge_pairs(
    struct wire_check *check, const unsigned char *bytes, size_t size)
{
	struct wire_check_state *state = &check->state;
	enum wire_verdict verdict = WIRE_MORE;
	size_t at = 0;

	if (state->header.type != WIRE_PARAMS || !is_own(check))
		return WIRE_MORE;
	while (at < size && verdict == WIRE_MORE) {
		if (state->name_left > 0)
			at += pair_name(check, bytes + at, size - at);
		else if (state->value_left > 0)
			at += pair_value(state, bytes + at, size - at);
		else
			verdict = pair_lengths(check, bytes, size, &at);
	}
	return verdict;
}

/* A record is whole. */
static enum wire_verdict judge_record(struct wire_check *check, const unsigned char *content)
{
	struct wire_check_state *state = &check->state;

	if (state->header.request_id == 0)
		return management_record(check, content);
	if (state->header.type == WIRE_BEGIN_REQUEST && !state->begun)
		return begin(check, content);
	if (state->header.type == 0 || state->header.type >= WIRE_GET_VALUES)
		state->ignored++;
	if (check->ignored + state->ignored > check->rules->max_ignored)
		return malformed(check, "too many records of unknown type");
	if (is_own(check))
		return own_record(check);
	return foreign_record(check);
}

static enum wire_verdict begin(struct wire_check *check, const unsigned char *content)
{
	struct wire_check_state *state = &check->state;

	check->request_id = state->header.request_id;
	check->keep_conn = (content[2] & WIRE_KEEP_CONN) != 0;
	check->unfit = NULL;
	state->begun = true;
	if ((content[0] << 8 | content[1]) != WIRE_RESPONDER) {
		check->reason = "a role other than responder";
		return end_request(check, WIRE_UNKNOWN_ROLE);
	}
	if (state->header.padding > 0)
		check->unfit = "padding behind BEGIN_REQUEST";
	return WIRE_MORE;
}

/* Refuse or end the request that began, with everything up to here. */
static enum wire_verdict end_request(struct wire_check *check, enum wire_status status)
{
	check->take = check->state.seen;
	check->answer_size = wire_end_write(check->answer, check->request_id, 0, status);
	check->close = !check->keep_conn;
	return WIRE_ANSWER;
}

static enum wire_verdict own_record(struct wire_check *check)
{
	struct wire_check_state *state = &check->state;

	switch (state->header.type) {
	case WIRE_PARAMS:
		if (state->header.content == 0)
			return params_end(check);
		if (state->skip_next)
			check->unfit = "an empty record of another request between PARAMS";
		state->skip_next = false;
		return WIRE_MORE;
	case WIRE_ABORT_REQUEST:
		check->reason = "the request was aborted before the end of its PARAMS";
		return end_request(check, WIRE_REQUEST_COMPLETE);
	default: check->unfit = "a record of another type between PARAMS"; return WIRE_MORE;
	}
}

static enum wire_verdict params_end(struct wire_check *check)
{
	struct wire_check_state *state = &check->state;

	if (state->lengths_have + state->name_left + state->value_left > 0)
		return malformed(check, "PARAMS end within a parameter");
	if (state->header.padding > 0)
		check->unfit = "padding behind the end of PARAMS";
	if (state->pairs == 0)
		state->bad = "a request without parameters";
	check->take = state->seen;
	check->reason = state->bad;
	return state->bad == NULL ? WIRE_READY : WIRE_BAD_REQUEST;
}

/*
 * A record of another request. In front of a request it is taken off. Between PARAMS both decoders
 * answer BEGIN_REQUEST with CANT_MPX_CONN and skip other records; for libfcgi's mistake see the
 * top.
 */
static enum wire_verdict foreign_record(struct wire_check *check)
{
	if (!check->state.begun)
		return ignore(check, "a record of no request");
	check->state.skip_next = check->state.header.content == 0;
	return WIRE_MORE;
}

static enum wire_verdict management_record(struct wire_check *check, const unsigned char *content)
{
	const struct wire_values values = {
	    check->rules->max_conns, check->rules->max_reqs, check->rules->mpxs_conns};

	if (check->state.begun) {
		check->unfit = "a management record between PARAMS";
		return WIRE_MORE;
	}
	check->take = check->state.seen;
	check->close = false;
	check->reason = "GET_VALUES";
	if (check->state.header.type != WIRE_GET_VALUES) {
		check->reason = "a management record of unknown type";
		check->answer_size =
		    wire_unknown_type_write(check->answer, check->state.header.type);
	} else {
		check->answer_size = wire_values_answer(
		    &values, content, check->state.header.content, check->answer);
		if (check->answer_size == 0)
			return malformed(check, "GET_VALUES with a cut name or value");
	}
	return WIRE_ANSWER;
}

size_t wire_check_end(const struct wire_check *check, const unsigned char *bytes, size_t size)
{
	struct wire_header header;
	size_t at = check->take;

	while (size - at >= WIRE_HEADER) {
		wire_header_read(bytes + at, &header);
		at += (size_t)WIRE_HEADER + header.content + header.padding;
		if (header.version != WIRE_VERSION || at > size)
			return 0;
		if (header.request_id != check->request_id || header.type != WIRE_STDIN)
			return 0;
		if (header.content == 0)
			return header.padding == 0 ? at : 0;
	}
	return 0;
}
