/*
 * The header block of a script's reply (RFC 3875, 6), checked and put in order before a byte of it
 * leaves. Pure: bytes in, bytes out.
 */
#ifndef EXTHOST_REPLY_HEADER_H
#define EXTHOST_REPLY_HEADER_H

#include "buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct error;

#define REPLY_LINE_MAX 998           /* Fossil splits a line of 1000 bytes or more in two */
#define REPLY_HEADER_MAX 65536 /* the whole block */

struct reply_header {
	struct buffer
	    text; /* lines ended by LF (Fossil counts a CR in its 1000 bytes), Location last, the empty line at the end */
	int status;     /* 200 when the script named none; 302 for a Location alone */
	int64_t length; /* Content-Length, or -1 */
	bool streams;   /* it asks for the reply not to be held back */
};

/* Where the block ends, behind its empty line; 0 while that is not there. LF or CR LF. */
size_t reply_header_end(const char *data, size_t size);

/*
 * Read a whole block of this size. Each line must be "Name: value" with a name of token characters
 * (RFC 9110, 5.6.2), no control characters but tab in the value, at most REPLY_LINE_MAX bytes;
 * there must be at least one. Location goes last, since Fossil stops reading headers there. 0, or
 * -1 with what is wrong in *e.
 */
int reply_header_read(struct reply_header *h, const char *data, size_t size, struct error *e);

void reply_header_release(struct reply_header *h);

#endif
