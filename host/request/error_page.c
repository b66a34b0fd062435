#include "request/error_page.h"

#include "request/cgi_reply.h"
#include "request/request.h"

#include <stdio.h>
#include <string.h>

/* Without the second meta a telephone shows the page as a desktop would, in tiny letters. */
#define PAGE_HEAD                                                                                  \
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"                  \
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"               \
	"<meta name=\"color-scheme\" content=\"light dark\">\n"                                    \
	"<title>%d %s</title>\n</head>\n<body>\n"

static const char *explain(int status)
{
	switch (status) {
	case 400: return "The request is not well-formed.";
	case 403: return "The server does not send this file.";
	case 404: return "There is no such page.";
	case 405: return "This page can only be read.";
	case 408: return "The request body did not come in time.";
	case 413: return "The request body is larger than this server takes.";
	case 431: return "The request's header is larger than this server takes.";
	case 503: return "The server is busy; please try again in a moment.";
	case 504: return "The extension took too long to answer.";
	default:
		return "The extension did not give a usable answer. The server's log tells why, "
		       "under the request's id.";
	}
}

static const char *more_headers(int status)
{
	return status == 503   ? "Retry-After: 1\r\n"
	       : status == 405 ? "Allow: GET, HEAD, POST\r\n"
			       : "";
}

/* Without a detail nothing is allocated here: a signal handler sends pages, too (guardian.c). */
void error_page_send(struct request *request, int status, const char *detail, size_t size)
{
	const char *reason = cgi_header_reason(status);
	char begin[1024] = "", end[128], head[256];
	struct buffer middle = {0};
	size_t n = 0;

	if (!request->trust_fossil)
		n = (size_t)snprintf(begin, sizeof(begin), PAGE_HEAD, status, reason);
	n += (size_t)snprintf(begin + n, sizeof(begin) - n,
	    "<div class='fossil-doc' data-title='%d %s'>\n<h2>%s</h2>\n<p>%s</p>\n", status, reason,
	    reason, explain(status));
	if (detail != NULL && size > 0) {
		buffer_append_string(&middle, "<pre>");
		buffer_append_html(&middle, detail, size);
		buffer_append_string(&middle, "</pre>\n");
	}
	snprintf(end, sizeof(end), "<p><small>request %s</small></p>\n</div>\n%s", request->id,
	    request->trust_fossil ? "" : "</body>\n</html>\n");
	snprintf(head, sizeof(head),
	    "Content-Type: text/html; charset=utf-8\r\n%s"
	    "Cache-Control: no-store\r\nContent-Length: %zu\r\n\r\n",
	    more_headers(status), n + middle.size + strlen(end));
	cgi_reply_status_line(request, status);
	response_write(&request->response, head, strlen(head));
	if (strcmp(cgi_variables_text(&request->variables, "REQUEST_METHOD"), "HEAD") != 0) {
		response_write(&request->response, begin, n);
		response_write(&request->response, middle.data, middle.size);
		response_write(&request->response, end, strlen(end));
	}
	response_end(&request->response);
	buffer_release(&middle);
}
