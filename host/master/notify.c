/*
 * A message is one datagram of lines NAME=VALUE. It is sent from a socket that is made for it and
 * closed again, so that no child inherits a way to speak for the host. The kernel tells the
 * receiver which process the sender is.
 *
 * Left out: vsock addresses, which are for virtual machines, and passing descriptors.
 */
#include "master/notify.h"

#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_MAX_BYTES 512
#define SEND_TIMEOUT_S 1

static void set_address(struct notify *n, const char *name)
{
	size_t size = strlen(name);

	/* A path ends with a NUL; an abstract name begins with one, in place of the '@'. */
	if ((name[0] != '/' && name[0] != '@') || size < 2 || size >= sizeof(n->address.sun_path))
		return;
	n->address.sun_family = AF_UNIX;
	memcpy(n->address.sun_path, name, size);
	if (name[0] == '@')
		n->address.sun_path[0] = '\0';
	n->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (name[0] == '/'));
}

/* The decimal number in an environment variable; 0 if it is unset, no number or out of range. */
static uint64_t read_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	unsigned long long value;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? value : 0;
}

void notify_init(struct notify *n)
{
	const char *name = getenv("NOTIFY_SOCKET");
	uint64_t limit = read_number("WATCHDOG_USEC");

	*n = (struct notify){0};
	if (name != NULL)
		set_address(n, name);
	if (n->size > 0 && limit <= UINT64_MAX / 1000 &&
	    (getenv("WATCHDOG_PID") == NULL || read_number("WATCHDOG_PID") == (uint64_t)getpid()))
		n->every = limit * 1000 / 2;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void send_message(const struct notify *n, const char *text, int flags)
{
	const struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};
	FD_OWNED int fd = -1;

	if (n->size == 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	while (sendto(fd, text, strlen(text), flags | MSG_NOSIGNAL,
		   (const struct sockaddr *)&n->address, n->size) < 0 &&
	       errno == EINTR)
		;
}

void notify_ready(const struct notify *n)
{
	send_message(n, "READY=1", 0);
}

void notify_reloading(const struct notify *n)
{
	char text[64];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now() / 1000);
	send_message(n, text, 0);
}

void notify_stopping(const struct notify *n)
{
	send_message(n, "STOPPING=1", 0);
}

void notify_status(const struct notify *n, const char *text)
{
	char message[STATUS_MAX_BYTES];
	size_t size = (size_t)snprintf(message, sizeof(message), "STATUS=%s", text);

	if (size >= sizeof(message)) {
		char *last = message + sizeof(message) - 2;

		/* A cut within a character would make the whole line invalid UTF-8. */
		while (last > message && (*last & 0xc0) == 0x80)
			last--;
		if ((*last & 0x80) != 0)
			*last = '\0';
	}
	for (char *at = message; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == '\x7f')
			*at = ' ';
	send_message(n, message, 0);
}

void notify_watchdog(const struct notify *n)
{
	send_message(n, "WATCHDOG=1", MSG_DONTWAIT);
}

uint64_t notify_watchdog_every(const struct notify *n)
{
	return n->every;
}
