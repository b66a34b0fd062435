/*
 * Judges the bytes that a FastCGI client has sent, before they are decoded. The bytes are only
 * looked at (the caller has them from MSG_PEEK, or in a buffer), so that a request reaches a
 * decoder only once its BEGIN_REQUEST and all its PARAMS are there and well-formed.
 *
 *	struct wire_check check = {.rules = &rules};
 *	again: look at the head of the connection; switch (wire_check(&check, bytes, size)) ...
 *
 * No byte is looked at twice: the next call must be given the same bytes, and those that have come
 * behind them.
 */
#ifndef EXTHOST_WIRE_CHECK_H
#define EXTHOST_WIRE_CHECK_H

#include "net/wire.h"
#include "net/wire_values.h"

#define WIRE_ANSWER_MAX WIRE_VALUES_MAX

struct wire_rules {
	size_t max_params; /* content of all PARAMS of a request; more: WIRE_TOO_LARGE */
	/*
	 * All bytes up to the end of PARAMS, with headers and padding; more: WIRE_TOO_LARGE. At
	 * least 66 KiB, so that any single record fits. connection_look needs a buffer of this
	 * size.
	 */
	size_t max_head;
	unsigned max_ignored; /* records of unknown type before a request is ready: 16 */
	unsigned max_conns, max_reqs, mpxs_conns; /* the answer to GET_VALUES */
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
	 * close if `close` is set; else check again. `reason` names the records, for a debug line.
	 */
	WIRE_ANSWER,
	/*
	 * The PARAMS are larger than the rules allow, or announce that they will be: answer 431 and
	 * close. Only request_id and keep_conn are known.
	 */
	WIRE_TOO_LARGE,
	/*
	 * Whole and well-formed, but no script may see this request: answer 400. The PARAMS end at
	 * `take`; the body's records may follow, and if the first `take` bytes are taken off, later
	 * calls have them ignored. `reason` is set.
	 */
	WIRE_BAD_REQUEST,
	WIRE_MALFORMED /* close, and log `reason` */
};

struct wire_check {
	const struct wire_rules *rules;
	/*
	 * The client is the relay, whose SCRIPT_FILENAME names the script to run: two of them are a
	 * BAD_REQUEST. Of a web server's the last one counts, as of any other parameter.
	 */
	bool from_relay;

	/* Results. */
	uint16_t request_id; /* READY, TOO_LARGE, BAD_REQUEST */
	bool keep_conn;      /* READY, TOO_LARGE, BAD_REQUEST */
	size_t take;
	bool close;
	unsigned char answer[WIRE_ANSWER_MAX];
	size_t answer_size;
	const char *reason;
	/*
	 * READY, BAD_REQUEST: NULL, or why libfcgi would misread this request although it is good
	 * (padding where libfcgi forgets it, records between the PARAMS): decode it without
	 * libfcgi.
	 */
	const char *unfit;
	/*
	 * Number of records of unknown type that were taken off the connection since the last
	 * request. wire_check_restart zeroes it.
	 */
	unsigned ignored;

	/* Private: what is known of the bytes so far. All zero at the head of a connection. */
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
		const char *bad; /* reason to answer BAD_REQUEST once it is complete */
		bool in_record, begun;
		bool is_filename, has_filename;
		bool skip_next; /* libfcgi would drop the content of the next record */
	} state;
};

/*
 * Judge the bytes at the head of the connection. After WIRE_ANSWER the next call begins at a new
 * head by itself; once a request's bytes are taken off, call wire_check_restart.
 */
enum wire_verdict wire_check(struct wire_check *check, const unsigned char *bytes, size_t size);

/* Begin at a new head of the same connection. */
void wire_check_restart(struct wire_check *check);

/*
 * After WIRE_READY or BAD_REQUEST, with the same bytes (and more): the offset at which the
 * request's last record ends, its empty STDIN. 0: that record is not among the bytes, or has
 * padding, or a record that is no STDIN of the request stands before it. libfcgi would lose bytes
 * behind this offset.
 */
size_t wire_check_end(const struct wire_check *check, const unsigned char *bytes, size_t size);

#endif
