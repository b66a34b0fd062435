/*
 * One request on its way through the stages, in the front and in a direct worker: its route and
 * settings, its reply, and how it ended. A stage uses what the stages before it have filled in.
 */
#ifndef EXTHOST_EXCHANGE_H
#define EXTHOST_EXCHANGE_H

#include "config/config.h"
#include "request/cgi_reply.h"
#include "request/outcome.h"
#include "request/route.h"
#include "request/script.h"

#include <stdatomic.h>

struct error;
struct lane;
struct log;
struct request;
struct stats_entry;

struct exchange {
	struct request *request;
	const struct config *config;
	const struct log *log;
	bool quiet; /* only failures are logged */
	/* Filled by the front's stages. */
	struct route route;
	struct script_found found;           /* language of the script, and how to run it */
	struct limits limits;                /* of the extension */
	struct extension_settings extension; /* strings are owned by the configuration */
	struct config_list environment;      /* variables of `env` for the extension */
	struct stats_entry *entry;           /* in the statistics; NULL: none */
	struct lane *lane;                   /* in which it has a place to run; NULL: none */
	/* Filled for every request. */
	struct cgi_reply reply;
	struct outcome outcome;
	atomic_bool begun; /* a byte of the reply has left */
};

/* Begin an exchange for this request, which the caller owns. */
void exchange_init(struct exchange *x, struct request *request, const struct config *config,
    const struct log *log);

/* Answer with an error page, without a run. */
void exchange_refuse(struct exchange *x, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* End it without a run: the client has aborted the request (FastCGI, 5.4), or is gone. */
void exchange_abort(struct exchange *x, const char *reason);
void exchange_leave(struct exchange *x, const char *reason);

/* End it without a run: with REQUEST_ABORTED as exchange_abort, else as exchange_refuse. */
void exchange_end_early(struct exchange *x, int status, const char *reason);

/* Before a run: begin an empty reply and outcome. */
void exchange_begin_reply(struct exchange *x);

/* The page of a failure may show what the extension wrote to standard error. */
bool exchange_shows_errors(const struct exchange *x);

/*
 * After a run: finish the reply, or if the run failed, replace it with an error page as long as no
 * byte of it has left. Once one has left, the reply can only be cut (response.broken).
 */
void exchange_finish(struct exchange *x);

/* Write its line in the log. */
void exchange_log(const struct exchange *x);

/* Release all but the request. true: the connection can be used again. */
bool exchange_release(struct exchange *x);

#endif
