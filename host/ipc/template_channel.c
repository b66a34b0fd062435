#include "ipc/template_channel.h"

#include "base/fd.h"

#include <stddef.h>
#include <sys/socket.h>

void template_set_log(int channel, int log)
{
	const struct template_order order = {.log = 1};

	fd_send(channel, &order, sizeof(order), &log, 1);
}

void template_ping(int status)
{
	fd_send(status, "", 1, NULL, 0);
}

int template_ping_receive(int status)
{
	int fds[FD_PASS_MAX];
	char ping;

	return (int)fd_receive(status, &ping, sizeof(ping), fds, MSG_DONTWAIT);
}

int template_status_receive(int status, struct template_status *message, int flags)
{
	int fds[FD_PASS_MAX];
	ssize_t n = fd_receive(status, message, sizeof(*message), fds, flags);

	return n == (ssize_t)sizeof(*message) ? 1 : n > 0 ? 0 : (int)n;
}
