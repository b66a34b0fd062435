/* The length is sent before the bytes, so a file that is truncated in between gives a cut reply. */
#include "front/answer_file.h"

#include "base/error.h"
#include "front/status.h"
#include "request/exchange.h"
#include "request/request.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int send_contents(struct response *response, const struct route *route, struct error *e);

void answer_file(struct exchange *x)
{
	struct request *request = x->request;
	const struct route *route = &x->route;
	const struct cgi_variables *v = &request->variables;
	const char *method = cgi_variables_text(v, "REQUEST_METHOD");
	char modified[64], head[512];
	struct tm parts;
	struct error e = {""};
	bool unchanged, sent = true;

	gmtime_r(&route->status.st_mtim.tv_sec, &parts);
	strftime(modified, sizeof(modified), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	unchanged = strcmp(cgi_variables_text(v, "HTTP_IF_MODIFIED_SINCE"), modified) == 0;
	cgi_reply_status_line(request, unchanged ? 304 : 200);
	snprintf(head, sizeof(head), "Content-Type: %s\r\nLast-Modified: %s\r\n",
	    route_media_type(route->name), modified);
	response_write(&request->response, head, strlen(head));
	snprintf(
	    head, sizeof(head), "Content-Length: %lld\r\n\r\n", (long long)route->status.st_size);
	response_write(&request->response, unchanged ? "\r\n" : head, unchanged ? 2 : strlen(head));
	if (!unchanged && strcmp(method, "HEAD") != 0)
		sent = send_contents(&request->response, route, &e) == 0;
	if (sent)
		response_end(&request->response);
	if (request->response.failed) {
		exchange_leave(x,
		    request->response.late ? "the client takes no more" : "the client went away");
	} else {
		request->response.broken = !sent;
		snprintf(x->outcome.reason, sizeof(x->outcome.reason), "%.*s",
		    (int)sizeof(x->outcome.reason) - 1, e.message);
	}
}

/* Send as many bytes as the length says. 0, also if the client is gone; -1 with *e. */
static int send_contents(struct response *response, const struct route *route, struct error *e)
{
	off_t left = route->status.st_size;
	char piece[65536];

	while (left > 0 && !response->failed) {
		size_t want = left < (off_t)sizeof(piece) ? (size_t)left : sizeof(piece);
		ssize_t n = read(route->file, piece, want);

		if (n < 0)
			return error_errno(e, "read %s", route->name);
		if (n == 0)
			return error_set(e, "%s has become shorter while it was sent", route->name);
		response_write(response, piece, (size_t)n);
		left -= n;
	}
	return 0;
}

void answer_metrics(struct exchange *x, struct status_sources *sources)
{
	struct request *request = x->request;
	struct buffer text = {0};
	struct buffer head = {0};

	if (status_metrics(sources, &text) < 0) {
		exchange_refuse(x, 500, "out of memory");
	} else {
		buffer_printf(&head,
		    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    text.size);
		cgi_reply_status_line(request, 200);
		response_write(&request->response, head.data, head.size);
		if (strcmp(cgi_variables_text(&request->variables, "REQUEST_METHOD"), "HEAD") != 0)
			response_write(&request->response, text.data, text.size);
		response_end(&request->response);
	}
	buffer_release(&head);
	buffer_release(&text);
}
