/*
 * A request on its way in, and what becomes of its connection after the answer: the same in the
 * front and in a direct worker. Between the two the owner answers it.
 */
#ifndef EXTHOST_INCOMING_H
#define EXTHOST_INCOMING_H

#include "request/request.h"

struct connection;
struct connection_turn;
struct log;

struct incoming {
	struct request request; /* initialized by the owner: request_init */
	struct request_taken taken;
	const struct config *config;
	bool begun;
};

/*
 * Read the request as far as it is there, through a buffer of `size` bytes. `turn` is that of the
 * connection; turn->status refuses a request that has not begun. 0: the request is whole.
 * REQUEST_MORE: park the connection until turn->deadline, and call again. Else a refusal or -1, as
 * request_from_connection, with the reason in turn->why.
 */
int incoming_read(struct incoming *in, struct connection *c, unsigned char *buffer, size_t size,
    struct connection_turn *turn);

/*
 * The request is whole, refused or broken, by this status of incoming_read. true: answer it. false:
 * only close the connection, for the reason `why`, which has been logged.
 */
bool incoming_is_answered(struct incoming *in, struct connection *c, const struct log *log,
    int status, const struct error *why);

/*
 * After the answer: release the request. `keep`: the connection can be used again. true: take its
 * next turn; false: close it.
 */
bool incoming_end(struct incoming *in, struct connection *c, int status, bool keep);

#endif
