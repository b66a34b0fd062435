/*
 * One request on its way through the stages, in the front and in a direct worker: what was found out
 * for it, its reply, and how it ended. A stage takes what stands here from the stages before it.
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
	/* The front's stages fill these. */
	struct route route;
	struct script_found found;           /* its language, and how it is run */
	struct limits limits;                /* of the extension */
	struct extension_settings extension; /* the strings are the configuration's */
	struct stats_entry *entry;           /* in the statistics; NULL: none */
	struct lane *lane; /* the place that it has to run; NULL: none is needed */
	/* Of every request. */
	struct cgi_reply reply;
	struct outcome outcome;
	atomic_bool begun; /* a byte of the reply has left */
};

/* An exchange about this request, which is the caller's. */
void exchange_init(struct exchange *x, struct request *request, const struct config *config,
    const struct log *log);

/* Answer without a run, by a page: it is refused for this reason, or the host has failed. */
void exchange_refuse(struct exchange *x, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* End it without a run, as the client has aborted it (FastCGI 5.4), or is gone. */
void exchange_abort(struct exchange *x, const char *reason);
void exchange_leave(struct exchange *x, const char *reason);

/* End it without a run: its request is refused with this status, or REQUEST_ABORTED. */
void exchange_end_early(struct exchange *x, int status, const char *reason);

/* Something is to run for it: a reply and an outcome, both empty. */
void exchange_begin_reply(struct exchange *x);

/* The page of a failure may show what the extension wrote to standard error. */
bool exchange_shows_errors(const struct exchange *x);

/*
 * The run is over: bring the reply to its end, or put the page of the failure into its place as long
 * as no byte of it has left. After that the reply can only be cut: response.broken.
 */
void exchange_finish(struct exchange *x);

/* One line in the log. */
void exchange_log(const struct exchange *x);

/* Release what belongs to it but for the request. true: the connection can be used again. */
bool exchange_release(struct exchange *x);

#endif
