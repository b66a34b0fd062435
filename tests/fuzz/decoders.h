/*
 * The two ways from bytes to a request, compared: as the front decodes (libfcgi wherever a request
 * is whole and libfcgi reads it rightly) and as direct workers do (record by record). For the unit
 * test of the decoders and for their fuzz harness.
 */
#ifndef EXTHOST_DECODERS_H
#define EXTHOST_DECODERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECODERS_REQUESTS 32 /* so many requests of one connection are looked at */

/* What became of the bytes of one connection. */
struct decoders_seen {
	size_t count; /* requests */
	struct decoders_request {
		int status;      /* 0, a refusal's, REQUEST_ABORTED, or -1 */
		bool by_libfcgi; /* libfcgi has decoded it */
		char *made;      /* all fields of struct request, and a refusal's reason, as text */
		char *moment;    /* text: what depends on the time at which the bytes came */
	} requests[DECODERS_REQUESTS];
	char *answers; /* all bytes that were sent to the client, in hexadecimal digits */
	char *end;     /* how the connection ended, as text */
};

/*
 * Send these bytes in pieces of this size (0: all at once) over a connection, and end it. `front`:
 * decode as the front does. `trusted`: it is the relay's.
 */
void decoders_see(struct decoders_seen *seen, const uint8_t *bytes, size_t size, size_t piece,
    bool front, bool trusted);

void decoders_release(struct decoders_seen *seen);

/*
 * Compare the two ways for the same pieces: all must be the same. NULL, or the difference, which is
 * valid until the next call.
 */
const char *decoders_differ(const struct decoders_seen *front, const struct decoders_seen *direct);

/*
 * Compare the bytes in pieces with the bytes at once. Both must make the same requests, with one
 * exception: a client can only abort a request that is not whole yet. In pieces, a request with a
 * CONTENT_LENGTH is whole before the abort comes, so there its status may be 0.
 */
const char *decoders_differ_in_pieces(
    const struct decoders_seen *whole, const struct decoders_seen *pieces);

/* Both comparisons, for several sizes of pieces. NULL, or the difference. */
const char *decoders_check(const uint8_t *bytes, size_t size, bool trusted);

#endif
