#include "request/exchange.h"

#include "base/error.h"
#include "base/fd.h"
#include "request/access_log.h"
#include "request/error_page.h"
#include "request/request.h"

#include <stdarg.h>
#include <stdio.h>

#define CLIENT_LEFT 499 /* status in the log when the client has left, as in nginx */

void exchange_init(
    struct exchange *x, struct request *request, const struct config *config, const struct log *log)
{
	x->request = request;
	x->config = config;
	x->log = log;
	x->quiet = false;
	x->route = (struct route){.file = -1};
	x->found = (struct script_found){.language = -1, .code = -1};
	x->environment = (struct config_list){0};
	x->entry = NULL;
	x->lane = NULL;
	x->reply = (struct cgi_reply){.body = {.file = -1}};
	x->outcome = (struct outcome){0};
	x->begun = false;
}

void exchange_refuse(struct exchange *x, int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(x->outcome.reason, sizeof(x->outcome.reason), format, arguments);
	va_end(arguments);
	error_page_send(x->request, status, NULL, 0);
}

void exchange_abort(struct exchange *x, const char *reason)
{
	snprintf(x->outcome.reason, sizeof(x->outcome.reason), "%s", reason);
	x->request->status = CLIENT_LEFT;
	response_end(&x->request->response);
}

void exchange_leave(struct exchange *x, const char *reason)
{
	snprintf(x->outcome.reason, sizeof(x->outcome.reason), "%s", reason);
	x->request->status = CLIENT_LEFT;
	x->request->response.failed = true;
}

void exchange_end_early(struct exchange *x, int status, const char *reason)
{
	if (status == REQUEST_ABORTED)
		exchange_abort(x, reason);
	else
		exchange_refuse(x, status, "%s", reason);
}

void exchange_begin_reply(struct exchange *x)
{
	cgi_reply_init(&x->reply, x->request, x->config, &x->limits);
	outcome_begin(&x->outcome);
	x->request->response.begun = &x->begun;
}

bool exchange_shows_errors(const struct exchange *x)
{
	return x->config->debug || request_may_see_traceback(x->request);
}

/* Bytes of the reply that were released but have not been sent are dropped for the page. */
static void send_failure(struct exchange *x)
{
	struct response *response = &x->request->response;
	struct buffer detail = {0};

	response->waiting.size = 0;
	response->sent = 0;
	buffer_printf(&detail, "%s\n\n", x->outcome.reason);
	buffer_append(&detail, x->outcome.errors.data, x->outcome.errors.size);
	error_page_send(x->request, x->outcome.status,
	    exchange_shows_errors(x) ? detail.data : NULL, detail.size);
	buffer_release(&detail);
}

static void fail(struct exchange *x)
{
	struct response *response = &x->request->response;

	if (x->outcome.why == OUTCOME_CLIENT || x->outcome.why == OUTCOME_ABORTED)
		x->request->status = CLIENT_LEFT;
	if (x->outcome.why == OUTCOME_CLIENT) {
		response->failed = true;
	} else if (response->late) {
		response->failed = true; /* cut once the client takes more */
	} else if (x->outcome.why == OUTCOME_ABORTED) {
		response->waiting.size = 0;
		response->aborted = NULL;
		response->failed = response->given_up = false;
		response_end(response);
	} else if (atomic_load_explicit(response->begun, memory_order_relaxed)) {
		response->broken = true;
	} else {
		send_failure(x);
	}
}

void exchange_finish(struct exchange *x)
{
	struct error e;

	if (x->outcome.whole && !x->outcome.answered && cgi_reply_finish(&x->reply, &e) < 0)
		outcome_fail(&x->outcome, OUTCOME_REPLY, 500, "%s", e.message);
	if (!x->outcome.whole && !x->outcome.answered)
		fail(x);
	x->request->response.begun = NULL;
	x->request->response.aborted = NULL;
}

void exchange_log(const struct exchange *x)
{
	access_log_write(x->log, x->quiet, x->request, &x->outcome);
}

bool exchange_release(struct exchange *x)
{
	struct response *response = &x->request->response;
	bool usable = !x->outcome.answered && !response->failed && !response->broken;

	cgi_reply_release(&x->reply);
	outcome_release(&x->outcome);
	fd_close(&x->found.code);
	config_list_release(&x->environment);
	x->request->script = NULL;
	route_release(&x->route);
	return usable;
}
