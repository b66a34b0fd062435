/*
 * A script's reply as it comes in: the header block is checked, the body is held back, and once it
 * is known good (or too large to be held) it goes to the client.
 */
#ifndef EXTHOST_REPLY_H
#define EXTHOST_REPLY_H

#include "reply_header.h"
#include "spool.h"

struct config;
struct error;
struct limits;
struct request;

struct reply {
	struct request *request;
	size_t buffer;       /* bytes held back before the reply is let go */
	uint64_t most;       /* bytes of a body that is held to its end */
	struct buffer block; /* the header block, while it is not complete */
	bool has_header;
	struct reply_header header;
	struct spool body;
	bool lazy;     /* what is let go is left to who flushes the response */
	bool released; /* the first byte has left: from here on a failure can only cut */
};

void reply_init(struct reply *r, struct request *request, const struct config *config,
    const struct limits *limits);

/* More output of the script. 0, or -1 with *e: the header block is refused, or no place is left. */
int reply_feed(struct reply *r, const void *data, size_t size, struct error *e);

/*
 * Let go what is held, and send the rest of the reply out of a file, from its offset: size bytes,
 * UINT64_MAX: to its end. 0; -1 with errno: EPIPE: the client is gone; EINVAL: this cannot be done
 * (yet: there is no header block), and nothing was sent.
 */
int reply_send_file(struct reply *r, int file, uint64_t size);

/*
 * The output is at its end. 0 when the reply is whole and is on its way; -1 with *e: no header
 * block, or fewer bytes than its Content-Length.
 */
int reply_finish(struct reply *r, struct error *e);

void reply_release(struct reply *r);

/*
 * Answer with a page of the host's own: a short HTML page that Fossil puts into its skin, with the
 * request's id. `detail` (a traceback) is shown in full when it is not NULL.
 */
void reply_error_page(struct request *request, int status, const char *detail, size_t size);

/* The words of a status: "Not Found". Never NULL. */
const char *reply_reason(int status);

#endif
