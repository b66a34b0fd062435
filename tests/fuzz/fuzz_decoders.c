/*
 * Fuzz harness for the two ways from bytes to a request: libfcgi's, in the front, and that of the
 * records, in direct workers. The input is what a client sends; and it is the PARAMS of a request
 * with a body. Each is sent whole and in pieces, over a web server's connection and the relay's.
 */
#include "replay.h"

#include "decoders.h"

#include "base/buffer.h"
#include "net/wire.h"

#include <stdio.h>

#define BYTES_MOST 65536 /* a socket holds so many */

static void check(const void *bytes, size_t size)
{
	for (int trusted = 0; trusted < 2; trusted++) {
		const char *found = decoders_check(bytes, size, trusted);

		if (found != NULL)
			fprintf(stderr, "%s\n", found);
		insist(found == NULL, "the decoders differ");
	}
}

static void put_record(struct buffer *b, enum wire_type type, const void *content, size_t size)
{
	static const char zeros[8];
	unsigned char header[WIRE_HEADER];

	insist(buffer_append(b, header, wire_record_write(header, type, 1, size)) == 0 &&
		   buffer_append(b, content, size) == 0 &&
		   buffer_append(b, zeros, wire_padding(size)) == 0,
	    "no memory");
}

static void check_as_params(const uint8_t *bytes, size_t size)
{
	unsigned char begin[WIRE_FIXED];
	struct buffer b = {0};

	insist(buffer_append(
		   &b, begin, wire_begin_write(begin, 1, WIRE_RESPONDER, WIRE_KEEP_CONN)) == 0,
	    "no memory");
	if (size > 0)
		put_record(&b, WIRE_PARAMS, bytes, size);
	put_record(&b, WIRE_PARAMS, NULL, 0);
	put_record(&b, WIRE_STDIN, "name=value", 10);
	put_record(&b, WIRE_STDIN, NULL, 0);
	check(b.data, b.size);
	buffer_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size > BYTES_MOST)
		return 0;
	check(bytes, size);
	if (size <= 8192)
		check_as_params(bytes, size);
	return 0;
}
