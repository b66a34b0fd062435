/*
 * What a FastCGI client has sent, judged before anybody acts on it. The bytes are only looked at
 * (the caller has them from MSG_PEEK, or in a buffer), so that a request reaches libfcgi only once
 * its BEGIN_REQUEST and all its PARAMS are there and well-formed.
 *
 *	struct wire_check check = {.rules = &rules};
 *	again: look at the head of the connection; switch (wire_check(&check, bytes, size)) ...
 *
 * Bytes that were looked at once are not looked at again: the next call must be given the same
 * ones, and what came behind them.
 */
#ifndef EXTHOST_WIRE_CHECK_H
#define EXTHOST_WIRE_CHECK_H

#include "net/wire.h"
#include "net/wire_values.h"

#define WIRE_ANSWER_MAX WIRE_VALUES_MAX

struct wire_rules {
	size_t max_params; /* content of all PARAMS of a request; more: WIRE_TOO_LARGE */
	/*
	 * All bytes up to the end of PARAMS, headers and padding too; more: WIRE_TOO_LARGE. At least
	 * 66 KiB, so that any one record fits. connection_look needs a buffer of this size.
	 */
	size_t max_head;
	unsigned max_ignored; /* records of unknown type before a request is ready: 16 */
	unsigned max_conns, max_reqs, mpxs_conns; /* what GET_VALUES is answered */
};

/*
 * The rules of a server that takes so many bytes of PARAMS, and has so many places for connections,
 * with one request at a time on each.
 */
struct wire_rules wire_rules_make(size_t max_params, size_t connections);

enum wire_verdict {
	WIRE_MORE,  /* well-formed so far: wait for more */
	WIRE_READY, /* a responder's request, its PARAMS complete and good; they end at `take` */
	/*
	 * Take the first `take` bytes off the connection; send `answer` if answer_size is not 0;
	 * close if `close` is set; else check again. `reason` says what it was, for a debug line.
	 */
	WIRE_ANSWER,
	/*
	 * The PARAMS are, or say they will be, larger than the rules allow: answer 431 and close.
	 * Only request_id and keep_conn are known.
	 */
	WIRE_TOO_LARGE,
	/*
	 * Whole, well-formed, and no request that a script may see: answer 400. The PARAMS end at
	 * `take`; the body's records may follow, and if the first `take` bytes are taken off, later
	 * calls have them ignored. `reason` says why.
	 */
	WIRE_BAD_REQUEST,
	WIRE_MALFORMED /* close, and log `reason` */
};

struct wire_check {
	const struct wire_rules *rules;
	/*
	 * The client is the relay, and SCRIPT_FILENAME its word for what to run: two of them are a
	 * BAD_REQUEST. From a web server the last one counts, as of any other parameter.
	 */
	bool from_relay;

	/* Results. */
	uint16_t request_id; /* READY, TOO_LARGE, BAD_REQUEST */
	bool keep_conn;      /* the same three */
	size_t take;
	bool close;
	unsigned char answer[WIRE_ANSWER_MAX];
	size_t answer_size;
	const char *reason;
	/*
	 * READY: NULL, or why libfcgi would not read this request rightly although it is good (padding
	 * where libfcgi forgets it, records between the PARAMS). Close and log it, or decode it
	 * without libfcgi. Also fits BAD_REQUEST: libfcgi must not be given what is set here.
	 */
	const char *unfit;
	/*
	 * Records of unknown type that were taken off the connection so far. Kept from call to call;
	 * the caller zeroes it when a request was served.
	 */
	unsigned ignored;

	/* Private: how far the bytes are known. All zero at the head of a connection. */
	struct wire_check_state {
		size_t seen; /* bytes judged */
		struct wire_header header;
		size_t content_left, padding_left;
		size_t params; /* bytes of name-value pairs, as their lengths announce them */
		size_t pairs;
		unsigned char lengths[8]; /* of the pair that is being read */
		unsigned lengths_have;
		size_t name_at, name_left, value_left;
		unsigned ignored;
		const char *bad; /* why it will be BAD_REQUEST when it is complete */
		bool in_record, begun;
		bool is_filename, has_filename;
		bool skip_next; /* libfcgi would lose the content of the next record */
	} state;
};

/*
 * Judge the bytes at the head of the connection. After WIRE_ANSWER, and when the caller has had a
 * request's bytes taken, the state is for a new head: the former by itself, the latter by
 * wire_check_restart.
 */
enum wire_verdict wire_check(struct wire_check *check, const unsigned char *bytes, size_t size);

/* Begin at a new head of the same connection; also forgets the ignored records. */
void wire_check_restart(struct wire_check *check);

/*
 * After WIRE_READY or BAD_REQUEST, with the same bytes (and more): the offset at which the request's
 * last record ends, its empty STDIN, or 0 when that is not among them, or is padded, or something that
 * is not its body stands before it. Bytes behind it are the next request, which libfcgi would lose.
 */
size_t wire_check_end(const struct wire_check *check, const unsigned char *bytes, size_t size);

#endif
