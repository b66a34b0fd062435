/*
 * The way back to the client: FastCGI records on a connection, or plain CGI on a descriptor.
 * Writing never fails towards the caller; a client that is gone is remembered in `failed`.
 */
#ifndef EXTHOST_RESPONSE_H
#define EXTHOST_RESPONSE_H

#include "base/buffer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct response {
	int fd;
	bool fastcgi;
	uint16_t request_id;   /* FastCGI's */
	struct buffer waiting; /* records not written yet */
	uint64_t sent;         /* bytes of the reply, header included */
	uint64_t deadline;     /* clock_now() until which the client must take it; 0: none */
	bool failed;           /* nothing more can be sent to the client */
	bool broken;           /* a part of a reply has left that will have no end: response_cut */
	bool late;             /* the client is connected, but took nothing until the deadline */
	struct buffer left;    /* if late: the unsent end of the records that were begun */
	atomic_bool *begun;    /* set before the first byte leaves; may be NULL */
	/*
	 * Another process sets this to `turn` when the client aborts the request. Then nothing more
	 * is sent, and `failed` is set, from the next record on. NULL: no process does.
	 */
	const atomic_uint_fast64_t *aborted;
	uint64_t turn;
	bool given_up; /* `failed` because of `aborted` alone: the last record is whole */
};

/*
 * The client has given this reply up, and END_REQUEST can follow: what was sent of it are whole
 * records.
 */
bool response_is_aborted(const struct response *r);

/* Put bytes of the reply (header block, then body) into records. */
void response_write(struct response *r, const void *data, size_t size);

/*
 * Send the contents of a file, from its offset, as bytes of the reply: *size of them, at most to
 * its end. *size is then how many were sent. 0, or -1 with errno; EINVAL: it is no such file, and
 * nothing was sent; EIO: it became shorter while it was sent, and the reply can only be cut.
 */
int response_send_file(struct response *r, int file, uint64_t *size);

/* Send what waits. */
void response_flush(struct response *r);

/* The reply is whole: END_REQUEST. */
void response_end(struct response *r);

/*
 * The reply failed half way, and must not pass for a whole one: a record of type 255, the one sign
 * that both nginx and HAProxy turn into a broken transfer. Within a record it would be no sign, so
 * a client that was too slow has a minute more to take the end of that. The connection must be
 * closed after it.
 */
void response_cut(struct response *r);

/*
 * For a caller that cannot wait: move the rest of a response that is `late` to *rest, the end of
 * its record and then the sign of response_cut. 0, or -1: not late, or no memory. The caller
 * releases *rest in either case.
 */
int response_take_cut(struct response *r, struct buffer *rest);

/*
 * Cut a reply that another process was writing, and that may end anywhere in a record: the bytes
 * sent break the transfer wherever it does. (Within a record, a part of them passes for contents.)
 */
void response_cut_blindly(struct response *r);

#define RESPONSE_CUT_MAX 65824 /* bytes of that; also room for the page of a failure */

void response_release(struct response *r);

#endif
