/*
 * FastCGI 1.0 records as bytes: reading and writing, with no input or output, no allocation and no
 * libfcgi. For the relay (a FastCGI client), the front and the tests. Section numbers are those of
 * the FastCGI specification.
 */
#ifndef EXTHOST_WIRE_H
#define EXTHOST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 1
#define WIRE_HEADER 8      /* bytes of a record's header, and of a BEGIN and END_REQUEST body */
#define WIRE_CONTENT 65535 /* a record holds at most so much content */
#define WIRE_KEEP_CONN 1   /* flag of BEGIN_REQUEST: the connection is used again */
#define WIRE_FIXED 16      /* bytes of a whole BEGIN_REQUEST, END_REQUEST or UNKNOWN_TYPE */
#define WIRE_LENGTH_MAX 0x3fffffff /* a longer name or value is taken for a mistake */

enum wire_type {
	WIRE_BEGIN_REQUEST = 1,
	WIRE_ABORT_REQUEST = 2,
	WIRE_END_REQUEST = 3,
	WIRE_PARAMS = 4,
	WIRE_STDIN = 5,
	WIRE_STDOUT = 6,
	WIRE_STDERR = 7,
	WIRE_DATA = 8,
	WIRE_GET_VALUES = 9,
	WIRE_GET_VALUES_RESULT = 10,
	WIRE_UNKNOWN_TYPE = 11,
	/* Not in FastCGI: the reply failed half way. No web server takes it for a whole one. */
	WIRE_POISON = 255
};

enum wire_role { WIRE_RESPONDER = 1, WIRE_AUTHORIZER = 2, WIRE_FILTER = 3 };

enum wire_status { /* protocolStatus of END_REQUEST, section 5.5 */
	WIRE_REQUEST_COMPLETE = 0,
	WIRE_CANT_MPX_CONN = 1,
	WIRE_OVERLOADED = 2,
	WIRE_UNKNOWN_ROLE = 3
};

struct wire_header {
	uint8_t version;
	uint8_t type;
	uint16_t request_id;
	uint16_t content;
	uint8_t padding;
};

/* The 8 bytes as they are; nothing is judged. */
void wire_header_read(const unsigned char bytes[WIRE_HEADER], struct wire_header *header);
void wire_header_write(unsigned char bytes[WIRE_HEADER], const struct wire_header *header);

/* The padding that brings a record with so much content to a multiple of 8 bytes. */
unsigned wire_padding(size_t content);

/*
 * Write the header of a record with this content, padded by wire_padding; content and padding are
 * the caller's to send. Returns WIRE_HEADER. content is at most WIRE_CONTENT.
 */
size_t wire_record_write(unsigned char *out, enum wire_type type, uint16_t id, size_t content);

/* Whole records of fixed size. Each returns the bytes written, WIRE_FIXED. */
size_t wire_begin_write(unsigned char *out, uint16_t id, enum wire_role role, unsigned flags);
size_t wire_end_write(
    unsigned char *out, uint16_t id, uint32_t app_status, enum wire_status protocol_status);
size_t wire_unknown_type_write(unsigned char *out, uint8_t type);

/* One name-value pair (section 3.4), as slices of the block it was read from. */
struct wire_param {
	const unsigned char *name, *value;
	size_t name_size, value_size;
};

/*
 * Read the pair at *bytes and step over it. 1: *param is filled; 0: the block is at its end;
 * -1: a length is cut or reaches past the end.
 */
int wire_param_next(const unsigned char **bytes, size_t *size, struct wire_param *param);

/*
 * Read the two lengths in front of a pair and step over them. 1: done; 0: they are cut short;
 * -1: no name or value is as long as that.
 */
int wire_lengths_next(
    const unsigned char **bytes, size_t *size, size_t *name_size, size_t *value_size);

/* Write the two lengths of a pair, 1 or 4 bytes each. Returns how many bytes: 2, 5 or 8. */
size_t wire_lengths_write(unsigned char out[8], size_t name_size, size_t value_size);

/* Write a whole pair. Returns its size, or 0 (nothing written) when room is less than that. */
size_t wire_param_write(unsigned char *out, size_t room, const struct wire_param *param);

/*
 * Reading a reply as it comes, in pieces cut anywhere. Zero the struct and set request_id.
 */
struct wire_reply {
	uint16_t request_id; /* the only one expected */
	uint32_t app_status; /* both of END_REQUEST, valid after WIRE_REPLY_END */
	uint8_t protocol_status;
	const char *reason; /* valid after WIRE_REPLY_BROKEN */
	/* private */
	unsigned char partial[WIRE_HEADER];
	size_t have, content_left, padding_left;
	struct wire_header header;
	bool in_record, broken;
};

enum wire_reply_event {
	WIRE_REPLY_MORE,   /* all bytes are used up; the reply goes on */
	WIRE_REPLY_STDOUT, /* *data, *data_size is the next piece; never empty */
	WIRE_REPLY_STDERR,
	WIRE_REPLY_END,   /* END_REQUEST: the reply is whole if protocol_status is 0 */
	WIRE_REPLY_BROKEN /* type 255, or anything a FastCGI responder does not send */
};

/* Step over *bytes up to the next event. Call it until it says MORE, END or BROKEN. */
enum wire_reply_event wire_reply_next(struct wire_reply *reply, const unsigned char **bytes,
    size_t *size, const unsigned char **data, size_t *data_size);

#endif
