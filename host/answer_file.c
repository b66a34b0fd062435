/* A known length goes before the bytes, so that a reply that breaks off is noticed. */
#include "answer_file.h"

#include "answer_log.h"
#include "answer_shared.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "status.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void answer_file(
    const struct answer_shared *shared, struct request *request, const struct route *route)
{
	const struct variables *v = &request->variables;
	char modified[64], head[512], piece[65536];
	struct tm parts;
	off_t left = route->status.st_size;
	bool unchanged;

	gmtime_r(&route->status.st_mtim.tv_sec, &parts);
	strftime(modified, sizeof(modified), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	unchanged = strcmp(variables_text(v, "HTTP_IF_MODIFIED_SINCE"), modified) == 0;
	reply_status_line(request, unchanged ? 304 : 200);
	snprintf(head, sizeof(head), "Content-Type: %s\r\nLast-Modified: %s\r\n",
	    route_media_type(route->name), modified);
	response_write(&request->response, head, strlen(head));
	snprintf(head, sizeof(head), "Content-Length: %lld\r\n\r\n", (long long)left);
	response_write(&request->response, unchanged ? "\r\n" : head, unchanged ? 2 : strlen(head));
	if (unchanged || strcmp(variables_text(v, "REQUEST_METHOD"), "HEAD") == 0)
		left = 0;
	while (left > 0 && !request->response.failed) {
		ssize_t n = read(route->file, piece, sizeof(piece));

		if (n <= 0)
			break;
		response_write(&request->response, piece, (size_t)(n < left ? n : left));
		left -= n < left ? n : left;
	}
	/* With a Content-Length that was not filled, END_REQUEST is noticed as a cut. */
	response_end(&request->response);
	answer_log(shared, request, NULL, NULL);
}

int answer_metrics(const struct answer_shared *shared, struct request *request)
{
	struct buffer text = {0};
	struct buffer head = {0};
	int result = status_metrics(shared->status, &text);

	if (result == 0) {
		buffer_printf(&head,
		    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    text.size);
		reply_status_line(request, 200);
		response_write(&request->response, head.data, head.size);
		if (strcmp(variables_text(&request->variables, "REQUEST_METHOD"), "HEAD") != 0)
			response_write(&request->response, text.data, text.size);
		response_end(&request->response);
		answer_log(shared, request, NULL, NULL);
	}
	buffer_release(&head);
	buffer_release(&text);
	return result;
}
