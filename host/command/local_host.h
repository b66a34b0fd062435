/*
 * A host without a server: it answers requests within this process, one after the other, by the
 * stages of the front. Templates are children of this process, and one is started for a language
 * when the first script of that language is requested.
 */
#ifndef EXTHOST_LOCAL_HOST_H
#define EXTHOST_LOCAL_HOST_H

#include "base/language.h"
#include "base/log.h"
#include "front/answer.h"
#include "pool/app_pool.h"

#include <sys/types.h>

struct binding;
struct config;
struct error;
struct request;

struct local_host {
	const struct config *config;
	const struct binding *const *bindings;
	struct log log; /* to standard error, unless the caller changes it after the open */
	struct front_shared shared;
	struct app_pool_setup apps;
	pid_t templates[LANGUAGES_MAX]; /* 0: no template was started for the language */
};

/*
 * Open the extension root, config->root; start no template yet. `config` and `bindings` (which is
 * NULL-terminated) must outlive the host, and *h must stay in place until the process ends, as does
 * the thread that watches the apps. SIGPIPE is ignored in this process from now on, so that a
 * client that goes away is an error of the request. 0, or -1 with *e; local_host_close() follows
 * either.
 */
int local_host_open(struct local_host *h, const struct config *config,
    const struct binding *const *bindings, struct error *e);

/*
 * Answer a request: the reply goes to r->response, its status is r->status, and failures are
 * logged. The caller releases the request. 0, or -1 with *e when the template that it needs does
 * not start: then nothing was answered, and the next request of that language tries again.
 */
int local_host_answer(struct local_host *h, struct request *r, struct error *e);

/* Answer with an error page instead, for a request that no web server would pass on. */
void local_host_refuse(
    struct local_host *h, struct request *r, int status, const struct error *why);

/* End app workers (within seconds) and templates, and release all. */
void local_host_close(struct local_host *h);

#endif
