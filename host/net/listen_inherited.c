/*
 * LISTEN_FDNAMES is of no use here: a supervisor that passes several sockets tells them apart by
 * their order, which is the order of the ListenStream= lines in a socket unit.
 */
#include "net/listen_inherited.h"

#include "base/error.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_FDS_START 3 /* sd_listen_fds(3) */

/* A number of the environment, which is taken out; 0 if it is none of processes or descriptors. */
static int take_number(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	long value = text != NULL ? strtol(text, &end, 10) : 0;

	if (end == NULL || *end != '\0' || value < 0 || value > INT_MAX - LISTEN_FDS_START)
		value = 0;
	unsetenv(name);
	return (int)value;
}

void listen_inherited_find(struct listen_inherited *in)
{
	int pid = take_number("LISTEN_PID");
	int count = take_number("LISTEN_FDS");

	unsetenv("LISTEN_FDNAMES");
	*in = (struct listen_inherited){.next = STDIN_FILENO, .end = STDIN_FILENO + 1};
	if (pid != getpid() || count == 0)
		return;
	*in = (struct listen_inherited){.next = LISTEN_FDS_START, .end = LISTEN_FDS_START + count};
	/* Stop at a descriptor that is not open: listen_inherited_take reports it. */
	for (int fd = in->next; fd < in->end && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0; fd++)
		;
}

bool listen_inherited_left(const struct listen_inherited *in)
{
	return in->next < in->end;
}

/* The family if it is a stream socket that listens, else AF_UNSPEC. */
static int listening_family(int fd)
{
	int type, listening, family;
	socklen_t size = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0)
		return AF_UNSPEC;
	return family == AF_UNIX || family == AF_INET || family == AF_INET6 ? family : AF_UNSPEC;
}

int listen_inherited_take(struct listen_inherited *in, int *given, int *family, struct error *e)
{
	int fd = in->next;

	if (!listen_inherited_left(in))
		return error_set(e, "fewer sockets were passed in than 'fd' is given");
	*given = in->next++;
	*family = listening_family(fd);
	if (*family == AF_UNSPEC && fd == STDIN_FILENO)
		return error_set(e,
		    "no listening socket was passed in, neither by LISTEN_FDS nor as "
		    "descriptor 0");
	if (*family == AF_UNSPEC)
		return error_set(
		    e, "descriptor %d of LISTEN_FDS is no stream socket that listens", fd);
	/* Move descriptor 0, which is a child's standard input. */
	if (fd == STDIN_FILENO)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, LISTEN_FDS_START);
	return fd < 0 ? error_errno(e, "descriptor 0") : fd;
}

bool listen_inherited_ignores(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}
