/* Looked at once a second, by the same timer as all that has a deadline here. */
#include "direct/late_clients.h"

#include "base/clock.h"
#include "base/fd.h"
#include "net/response.h"

#include <errno.h>
#include <sys/socket.h>

#define CLIENT_TIMEOUT_NS (60 * CLOCK_SECOND) /* as CLIENT_TIMEOUT_MS of net/response.c */

void late_clients_add(struct late_clients *cuts, struct response *r)
{
	struct late_client *cut = &cuts->items[cuts->count];

	if (cuts->count == LATE_CLIENTS_MAX)
		return;
	*cut = (struct late_client){.until = clock_now() + CLIENT_TIMEOUT_NS};
	cut->fd = response_take_cut(r, &cut->rest) == 0 ? fd_dup_high(r->fd) : -1;
	if (cut->fd < 0)
		buffer_release(&cut->rest);
	else
		cuts->count++;
}

/* true: it is over. */
static bool go_on(struct late_client *cut)
{
	ssize_t n = send(cut->fd, cut->rest.data, cut->rest.size, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno != EAGAIN && errno != EINTR;
	buffer_consume(&cut->rest, (size_t)n);
	return cut->rest.size == 0;
}

bool late_clients_go_on(struct late_clients *cuts)
{
	uint64_t now = clock_now();

	for (size_t i = cuts->count; i-- > 0;) {
		struct late_client *cut = &cuts->items[i];

		if (!go_on(cut) && now < cut->until)
			continue;
		fd_close(&cut->fd);
		buffer_release(&cut->rest);
		*cut = cuts->items[--cuts->count];
	}
	return cuts->count > 0;
}
