/*
 * Where the host listens. The master opens the sockets once, before anything else is started, so
 * that they outlive every front.
 *
 * The path of a unix socket holds 107 bytes and an extension root's can be longer, so a socket is
 * bound from inside its folder, by its last name.
 */
#include "listen.h"

#include "access.h"
#include "config.h"
#include "error.h"
#include "fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RELAY_SOCKET ".exthost.sock"
#define CONTROL_SOCKET ".exthost.control"
#define LISTEN_FDS_START 3 /* sd_listen_fds(3) */

/* ADDR taken apart. */
struct address {
	char *text; /* owned; the rest points into it */
	char *place;
	const char *prefix;
	bool trust_fossil;
	mode_t mode;
};

static int open_unix(struct listener *l, const char *path, mode_t mode, struct error *e);
static int open_tcp(
    struct listener *l, const char *place, const struct config *config, struct error *e);
static int open_inherited(struct listener *l, struct error *e);

static int parse_attribute(struct address *a, char *attribute, struct error *e)
{
	char *end;

	if (strcmp(attribute, "trust=fossil") == 0) {
		a->trust_fossil = true;
	} else if (strncmp(attribute, "mode=", 5) == 0) {
		a->mode = (mode_t)strtoul(attribute + 5, &end, 8);
		if (attribute[5] == '\0' || *end != '\0' || a->mode > 0777)
			return error_set(e, "'%s' is not an octal file mode", attribute);
	} else if (strncmp(attribute, "prefix=/", 8) == 0) {
		a->prefix = attribute + 7;
	} else {
		return error_set(
		    e, "'%s' is none of trust=fossil, mode=OCTAL, prefix=/PATH", attribute);
	}
	return 0;
}

static int parse_address(
    struct address *a, const char *text, const struct config *config, struct error *e)
{
	char *rest;

	*a = (struct address){.text = strdup(text), .prefix = config->prefix, .mode = 0600};
	if (a->text == NULL)
		return error_errno(e, "listen");
	rest = a->text;
	a->place = strsep(&rest, ",");
	while (rest != NULL)
		if (parse_attribute(a, strsep(&rest, ","), e) < 0)
			return -1;
	if (strcmp(a->place, "relay") == 0)
		a->trust_fossil = true;
	else if (strncmp(a->place, "unix:/", 6) != 0 && strncmp(a->place, "tcp:", 4) != 0 &&
		 strcmp(a->place, "fd") != 0)
		return error_set(
		    e, "'%s' is none of relay, unix:/path, tcp:HOST:PORT, fd", a->place);
	return 0;
}

int listener_open(
    struct listener *l, const char *address, const struct config *config, struct error *e)
{
	struct address a;
	int result = -2;
	char *path = NULL;

	*l = (struct listener){.fd = -1};
	if (parse_address(&a, address, config, e) == 0 && a.place != NULL) {
		l->address = strdup(a.place);
		l->prefix = strdup(a.prefix);
		l->trust_fossil = a.trust_fossil;
		if (strcmp(a.place, "relay") == 0)
			result = asprintf(&path, "%s/%s", config->root, RELAY_SOCKET) < 0
				     ? error_errno(e, "relay")
				     : open_unix(l, path, a.mode, e);
		else if (strncmp(a.place, "unix:", 5) == 0)
			result = open_unix(l, a.place + 5, a.mode, e);
		else if (strncmp(a.place, "tcp:", 4) == 0)
			result = open_tcp(l, a.place + 4, config, e);
		else
			result = open_inherited(l, e);
	}
	free(path);
	free(a.text);
	if (result < 0) {
		error_prefix(e, "listen %s", address);
		listener_release(l, false);
	}
	return result;
}

char *listener_control_path(const struct config *config)
{
	char *path = NULL;

	if (strcmp(config->control, "none") == 0)
		return NULL;
	if (config->control[0] != '\0')
		return strdup(config->control);
	if (config->root == NULL || asprintf(&path, "%s/%s", config->root, CONTROL_SOCKET) < 0)
		return NULL;
	return path;
}

int listener_open_control(struct listener *l, const struct config *config, struct error *e)
{
	char *path = listener_control_path(config);
	int result;

	*l = (struct listener){.fd = -1, .control = true, .address = strdup("control")};
	result = path != NULL ? open_unix(l, path, 0600, e) : error_set(e, "out of memory");
	if (result < 0) {
		error_prefix(e, "control socket %s", path != NULL ? path : "");
		listener_release(l, false);
	}
	free(path);
	return result;
}

/* A stream socket's address for the last part of a path, while we stand in its folder. */
static int unix_name(struct sockaddr_un *address, const char *name, struct error *e)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(name) >= sizeof(address->sun_path))
		return error_set(
		    e, "the name is longer than %zu bytes", sizeof(address->sun_path) - 1);
	strcpy(address->sun_path, name);
	return 0;
}

/* What a killed host left is removed; a living one's socket, or another kind of file, is not. */
static int remove_stale(const struct sockaddr_un *address, struct error *e)
{
	struct stat status;
	FD_OWNED int probe = -1;

	if (lstat(address->sun_path, &status) < 0)
		return errno == ENOENT ? 0 : error_errno(e, "stat");
	if (!S_ISSOCK(status.st_mode))
		return error_set(e, "there is a file of that name, and it is no socket");
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return error_errno(e, "socket");
	if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno != ECONNREFUSED)
		return error_set(e, "in use: another program listens there");
	return unlink(address->sun_path) < 0 ? error_errno(e, "remove the old socket") : 0;
}

static int bind_here(struct listener *l, const char *name, mode_t mode, struct error *e)
{
	struct sockaddr_un address;
	mode_t umask_before;
	int result;

	if (unix_name(&address, name, e) < 0 || remove_stale(&address, e) < 0)
		return -1;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return error_errno(e, "socket");
	/* The mode must be right from the first moment, so it is not set by chmod afterwards. */
	umask_before = umask(0777 & ~mode);
	result = bind(l->fd, (struct sockaddr *)&address, sizeof(address));
	umask(umask_before);
	if (result < 0 || listen(l->fd, SOMAXCONN) < 0)
		return error_errno(e, result < 0 ? "bind" : "listen");
	return 0;
}

static int open_unix(struct listener *l, const char *path, mode_t mode, struct error *e)
{
	const char *name = strrchr(path, '/') + 1;
	FD_OWNED int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *folder = strndup(path, (size_t)(name - path));
	int result;

	l->kind = LISTENER_UNIX;
	if (folder == NULL || name[0] == '\0' || chdir(folder) < 0) {
		result = name[0] == '\0'
			     ? error_set(e, "no name behind the last /")
			     : error_errno(e, "folder %s", folder != NULL ? folder : "");
		free(folder);
		return result;
	}
	free(folder);
	result = bind_here(l, name, mode, e);
	if (before >= 0 && fchdir(before) < 0)
		return error_errno(e, "return to the working folder");
	l->path = result == 0 ? strdup(path) : NULL;
	return result;
}

/* Say in the address which port it was, when any free one was asked for. */
static void name_port(struct listener *l)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a = {0};
	socklen_t size = sizeof(a);
	char *text;
	unsigned port;

	if (getsockname(l->fd, &a.any, &size) < 0)
		return;
	port = ntohs(a.any.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
	if (asprintf(&text, "%.*s:%u", (int)(strrchr(l->address, ':') - l->address), l->address,
		port) < 0)
		return;
	free(l->address);
	l->address = text;
}

static int bind_tcp(
    struct listener *l, const struct addrinfo *where, const struct config *config, struct error *e)
{
	int on = 1;

	if (!access_is_loopback(where->ai_addr) && config->allow_from.count == 0)
		return error_set(
		    e, "not a loopback address: say with --allow-from who may connect");
	l->fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return error_errno(e, "socket");
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(l->fd, where->ai_addr, where->ai_addrlen) < 0 || listen(l->fd, SOMAXCONN) < 0)
		return error_errno(e, "bind");
	name_port(l);
	return 0;
}

static int open_tcp(
    struct listener *l, const char *place, const struct config *config, struct error *e)
{
	const char *colon = strrchr(place, ':');
	struct addrinfo hints = {
	    .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found;
	char host[256];
	size_t size;
	int result;

	l->kind = LISTENER_TCP;
	if (colon == NULL || colon == place || (size_t)(colon - place) >= sizeof(host))
		return error_set(e, "HOST:PORT is wanted"), -2;
	size = (size_t)(colon - place);
	if (place[0] == '[' && colon[-1] == ']') { /* [::1]:9000 */
		place++;
		size -= 2;
	}
	snprintf(host, sizeof(host), "%.*s", (int)size, place);
	result = getaddrinfo(host, colon + 1, &hints, &found);
	if (result != 0)
		return error_set(e, "%s", gai_strerror(result)), -2;
	result = bind_tcp(l, found, config, e);
	freeaddrinfo(found);
	return result;
}

static int open_inherited(struct listener *l, struct error *e)
{
	const char *pid = getenv("LISTEN_PID");
	const char *count = getenv("LISTEN_FDS");
	bool systemd = pid != NULL && count != NULL && atol(pid) == getpid() && atol(count) > 0;
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	int listening = 0;
	socklen_t int_size = sizeof(listening);

	l->fd = fcntl(systemd ? LISTEN_FDS_START : STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	if (l->fd < 0 || getsockname(l->fd, (struct sockaddr *)&address, &size) < 0 ||
	    getsockopt(l->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_size) < 0 || !listening)
		return error_set(e,
		    "no listening socket was passed in, neither by LISTEN_FDS nor as "
		    "descriptor 0");
	l->kind = address.ss_family == AF_UNIX ? LISTENER_UNIX : LISTENER_TCP;
	return fd_set_nonblocking(l->fd, true) < 0 ? error_errno(e, "descriptor") : 0;
}

void listener_release(struct listener *l, bool unlink_path)
{
	if (unlink_path && l->path != NULL)
		unlink(l->path);
	fd_close(&l->fd);
	free(l->address);
	free(l->path);
	free(l->prefix);
	*l = (struct listener){.fd = -1};
}
