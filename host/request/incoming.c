#include "request/incoming.h"

#include "net/connection.h"

int incoming_read(struct incoming *in, struct connection *c, unsigned char *buffer, size_t size,
    struct connection_turn *turn)
{
	int status = REQUEST_MORE;

	if (!in->begun) {
		in->begun = true;
		request_came_on(&in->request, c);
		status = turn->status;
		if (status == 0)
			status = request_from_connection(
			    &in->request, &in->taken, c, in->config, &turn->why);
	}
	if (status == REQUEST_MORE)
		status = request_taken_read(
		    &in->request, &in->taken, &c->taken, buffer, size, &turn->why);
	if (status == REQUEST_MORE)
		turn->deadline = request_body_due(&in->request, &in->taken.body, in->config);
	return status;
}

/* While the request is answered, the bytes behind it are its own: request_listen adds to them. */
bool incoming_is_answered(struct incoming *in, struct connection *c, const struct log *log,
    int status, const struct error *why)
{
	in->request.behind = c->taken;
	c->taken = (struct buffer){0};
	if (status < 0)
		connection_log_close(c, log, why);
	return status >= 0;
}

bool incoming_end(struct incoming *in, struct connection *c, int status, bool keep)
{
	bool refused = status > 0 && status != REQUEST_ABORTED;
	bool unread = !keep && request_is_unread(&in->request);

	c->taken = in->request.behind;
	c->is_taken = c->is_taken || c->taken.size > 0;
	in->request.behind = (struct buffer){0};
	request_release(&in->request);
	in->begun = false;
	return connection_go_on(c, keep, refused || unread);
}
