/*
 * Where the host listens. The master opens the sockets once, before anything else is started, so
 * that they outlive every front.
 *
 * The path of a unix socket holds 107 bytes and an extension root's can be longer, so a socket is
 * bound from inside its directory, by its last name.
 */
#include "net/listen.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "config/config.h"
#include "config/listen_address.h"
#include "net/access.h"
#include "net/listen_inherited.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RELAY_SOCKET ".exthost.sock"
#define CONTROL_SOCKET ".exthost.control"
#define STALE_TRIES 4     /* connects to a socket's file before it counts as in use */
#define STALE_WAIT_MS 500 /* between two of them */

static bool is_inherited(const char *address);
static int open_address(struct listeners *ls, const char *text, struct listen_inherited *in,
    const struct config *config, struct error *e);
static int open_unix(struct listener *l, const char *path, mode_t mode, struct error *e);
static int open_tcp(
    struct listener *l, const char *place, const struct config *config, struct error *e);
static int open_inherited(struct listener *l, struct listen_inherited *in, struct error *e);

static void listener_release(struct listener *l, bool unlink_path);

/* Sockets that are passed in are given out over all lists, in the order of opening. */
struct opening {
	struct listeners *listeners;
	const struct config *config;
	struct listen_inherited inherited;
	size_t fds; /* addresses `fd` that are not open yet */
	struct error *e;
};

static size_t count_fds(const struct config_list *addresses)
{
	size_t count = 0;

	for (size_t i = 0; i < addresses->count; i++)
		count += is_inherited(addresses->items[i]);
	return count;
}

/* app: the number that its listeners get; 0: they are the front's. */
static int open_list(struct opening *o, const struct config_list *addresses, int app)
{
	struct listeners *ls = o->listeners;
	size_t first = ls->count;
	int result = 0;

	for (size_t i = 0; i < addresses->count && result == 0; i++) {
		const char *text = addresses->items[i];
		bool last_fd = is_inherited(text) && --o->fds == 0;

		do
			result = open_address(ls, text, &o->inherited, o->config, o->e);
		while (result == 0 && last_fd && listen_inherited_left(&o->inherited));
	}
	for (size_t i = first; i < ls->count; i++)
		ls->items[i].app = app;
	if (result == 0 && app > 0 && ls->count - first > APP_LISTEN_MAX)
		return error_set(o->e, "%zu sockets were passed in for it, allowed are %d",
			   ls->count - first, APP_LISTEN_MAX),
		       -1;
	return result;
}

int listeners_open(struct listeners *ls, const struct config *config, struct error *e)
{
	struct opening o = {.listeners = ls, .config = config, .e = e};
	int result;

	*ls = (struct listeners){0};
	listen_inherited_find(&o.inherited);
	o.fds = count_fds(&config->listen);
	for (size_t i = 0; i < config->app_count; i++)
		o.fds += count_fds(&config->apps[i].listen);
	result = open_list(&o, &config->listen, 0);
	for (size_t i = 0; i < config->app_count && result == 0; i++) {
		result = open_list(&o, &config->apps[i].listen, (int)i + 1);
		if (result < 0)
			error_prefix(e, "app %s", config->apps[i].name);
	}
	if (result < 0)
		listeners_release(ls, true);
	return result;
}

/* One more in the list, closed yet. NULL when memory is out. */
static struct listener *add(struct listeners *ls)
{
	struct listener *items = reallocarray(ls->items, ls->count + 1, sizeof(*items));

	if (items == NULL)
		return NULL;
	ls->items = items;
	items[ls->count] = (struct listener){.fd = -1};
	return &items[ls->count++];
}

static int open_place(struct listener *l, const struct listen_address *a,
    struct listen_inherited *in, const struct config *config, struct error *e)
{
	char path[PATH_MAX];

	if (strncmp(a->place, "unix:", 5) == 0)
		return open_unix(l, a->place + 5, a->mode, e);
	if (strncmp(a->place, "tcp:", 4) == 0)
		return open_tcp(l, a->place + 4, config, e);
	if (strcmp(a->place, "fd") == 0)
		return open_inherited(l, in, e);
	if (path_join(path, sizeof(path), config->root, RELAY_SOCKET) < 0)
		return error_errno(e, "relay");
	return open_unix(l, path, a->mode, e);
}

static int open_address(struct listeners *ls, const char *text, struct listen_inherited *in,
    const struct config *config, struct error *e)
{
	struct listen_address a;
	struct listener *l = add(ls);
	int result = -2;

	if (l == NULL)
		return error_errno(e, "listen %s", text);
	if (listen_address_parse(&a, text, config, e) == 0 && a.place != NULL) {
		l->address = strdup(a.place);
		l->prefix = strdup(a.prefix);
		l->trust_fossil = a.trust_fossil;
		result = l->address == NULL || l->prefix == NULL ? error_errno(e, "listen")
								 : open_place(l, &a, in, config, e);
		/* Whether a socket that was passed in is a TCP socket is known only now. */
		if (result == 0 && l->trust_fossil && l->kind == LISTENER_TCP)
			result = listen_address_check_trust(config, e);
	}
	free(a.text);
	if (result < 0)
		error_prefix(e, "listen %s", text);
	return result;
}

char *listener_control_path(const struct config *config)
{
	char path[PATH_MAX];

	if (strcmp(config->control, "none") == 0)
		return NULL;
	if (config->control[0] != '\0')
		return strdup(config->control);
	if (config->root == NULL || path_join(path, sizeof(path), config->root, CONTROL_SOCKET) < 0)
		return NULL;
	return strdup(path);
}

int listeners_add_control(struct listeners *ls, const struct config *config, struct error *e)
{
	struct listener *l = add(ls);
	char *path = listener_control_path(config);
	int result = -1;

	if (l == NULL || path == NULL) {
		error_set(e, "out of memory");
	} else {
		l->control = true;
		l->address = strdup("control");
		l->prefix = strdup("");
		result = open_unix(l, path, 0600, e);
	}
	if (result < 0)
		error_prefix(e, "control socket %s", path != NULL ? path : "");
	if (result < 0 && l != NULL)
		listener_release(&ls->items[--ls->count], false);
	free(path);
	return result;
}

/* A stream socket's address for the last part of a path, relative to the working directory. */
static int unix_name(struct sockaddr_un *address, const char *name, struct error *e)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(name) >= sizeof(address->sun_path))
		return error_set(
		    e, "the name is longer than %zu bytes", sizeof(address->sun_path) - 1);
	strcpy(address->sun_path, name);
	return 0;
}

/*
 * true: another process listens there, perhaps with a full accept queue (EAGAIN). Then this returns
 * after a moment, or earlier if that process ends.
 */
static bool is_listened_at(const struct sockaddr_un *address)
{
	FD_OWNED int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd end = {.fd = probe, .events = 0};

	if (probe >= 0 && connect(probe, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno == ECONNREFUSED)
			return false;
		end.fd = -1;
	}
	poll(&end, 1, STALE_WAIT_MS);
	return true;
}

/*
 * What a killed host left is removed; a living one's socket, or another kind of file, is not. The
 * processes of a host that was just killed may end a moment after its master, so a supervisor that
 * starts the next one at once has it wait.
 */
static int remove_stale(const struct sockaddr_un *address, struct error *e)
{
	struct stat status;

	if (lstat(address->sun_path, &status) < 0)
		return errno == ENOENT ? 0 : error_errno(e, "stat");
	if (!S_ISSOCK(status.st_mode))
		return error_set(e, "there is a file of that name, and it is no socket");
	for (int tries = 0; is_listened_at(address); tries++)
		if (tries == STALE_TRIES)
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
	l->mode = mode;
	return lstat(name, &l->place) < 0 ? error_errno(e, "stat") : 0;
}

/* The file of a unix socket that was bound here is gone, or is another. */
static bool is_missing(const struct listener *l)
{
	struct stat now;

	return l->path != NULL && (lstat(l->path, &now) < 0 || now.st_ino != l->place.st_ino ||
				      now.st_dev != l->place.st_dev);
}

/* SO_ACCEPTCONN stays as it was; poll(2) tells. */
bool listener_is_shut_down(const struct listener *l)
{
	struct pollfd event = {.fd = l->fd, .events = 0};

	return l->fd >= 0 && poll(&event, 1, 0) > 0 && (event.revents & POLLHUP) != 0;
}

/* Bind a unix socket at its path again. 0, or -1 with *e, and the old one stays. */
static int bind_again(struct listener *l, struct error *e)
{
	struct listener fresh = {.fd = -1};

	if (open_unix(&fresh, l->path, l->mode, e) < 0) {
		fd_close(&fresh.fd);
		return -1;
	}
	free(fresh.path);
	fd_close(&l->fd);
	l->fd = fresh.fd;
	l->place = fresh.place;
	return 0;
}

/*
 * The same for a TCP socket that was shut down. listen(2) would revive it, at another port if any
 * free one was asked for.
 */
static int bind_tcp_again(struct listener *l, struct error *e)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t size = sizeof(address);
	int fd;

	if (getsockname(l->fd, (struct sockaddr *)&address, &size) < 0)
		return error_errno(e, "getsockname");
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(e, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0) {
		error_errno(e, "bind");
		fd_close(&fd);
		return -1;
	}
	fd_close(&l->fd);
	l->fd = fd;
	return 0;
}

static int renew(struct listener *l, struct error *e)
{
	if (l->kind == LISTENER_TCP)
		return bind_tcp_again(l, e);
	return l->path != NULL ? bind_again(l, e) : error_set(e, "it was passed in");
}

bool listener_renew_if_dead(struct listener *l, const struct log *log)
{
	bool missing = is_missing(l), told = l->dead;
	struct error e = {""};

	l->dead = missing || listener_is_shut_down(l);
	if (!l->dead)
		return false;
	if (renew(l, &e) < 0) {
		if (!told)
			log_message(log, LEVEL_ERROR, "%s: its socket%s: %s", l->address,
			    missing ? "'s file is gone" : " was shut down", e.message);
		return false;
	}
	l->dead = false;
	log_message(log, LEVEL_WARNING, "%s: its socket%s; it is bound again", l->address,
	    missing ? "'s file was gone" : " was shut down");
	return true;
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
			     : error_errno(e, "directory %s", folder != NULL ? folder : "");
		free(folder);
		return result;
	}
	free(folder);
	result = bind_here(l, name, mode, e);
	if (before >= 0 && fchdir(before) < 0)
		return error_errno(e, "return to the working directory");
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
		    e, "not a loopback address: --allow-from must say which clients may connect");
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

static bool is_inherited(const char *address)
{
	return strncmp(address, "fd", 2) == 0 && (address[2] == '\0' || address[2] == ',');
}

static int open_inherited(struct listener *l, struct listen_inherited *in, struct error *e)
{
	int given, family;
	char *address;

	l->fd = listen_inherited_take(in, &given, &family, e);
	if (l->fd < 0)
		return -1;
	if (asprintf(&address, "fd %d", given) < 0)
		return error_errno(e, "descriptor %d", given);
	free(l->address);
	l->address = address;
	l->kind = family == AF_UNIX ? LISTENER_UNIX : LISTENER_TCP;
	return fd_set_nonblocking(l->fd, true) < 0 ? error_errno(e, "descriptor %d", given) : 0;
}

static void listener_release(struct listener *l, bool unlink_path)
{
	if (unlink_path && l->path != NULL)
		unlink(l->path);
	fd_close(&l->fd);
	free(l->address);
	free(l->path);
	free(l->prefix);
}

void listeners_release(struct listeners *ls, bool unlink_paths)
{
	for (size_t i = 0; i < ls->count; i++)
		listener_release(&ls->items[i], unlink_paths);
	free(ls->items);
	*ls = (struct listeners){0};
}
