/*
 * exthost-cgi, the relay: CGI on one side, FastCGI to the host on the other. Fossil starts it for
 * each request, as the interpreter in a script's first line, so it is static, knows no interpreter,
 * and uses the same small memory for any request.
 *
 * What plain CGI suffers under Fossil is repaired here and in the host together. Here: exactly
 * CONTENT_LENGTH bytes are read, since Fossil does not close the pipe; both directions move at once,
 * since Fossil writes the whole body before it reads; and nothing is printed before the reply is
 * known to be whole, since Fossil takes whatever it has read for a reply and never looks at the exit
 * status. When no host listens, the relay replaces itself with exthost, which runs the request cold.
 */
#include "relay_reply.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_ID 1
#define BODY_PIECE 32768
#define CONNECT_DEADLINE 5000 /* milliseconds while the host's queue of connections is full */
#define SYSTEM_SOCKET "/run/exthost/exthost.sock"

struct relay {
	const char *script; /* from the command line; NULL: the environment says it */
	const char *socket_path;
	long long body_left;
	int host;
	int refused_errno; /* why a socket that is there was not to be had; 0: none is there */
	struct relay_reply reply;
	/* What goes to the host and has not gone yet. */
	unsigned char out[WIRE_HEADER + BODY_PIECE + 8];
	size_t out_size, out_sent;
	bool body_ended;
};

static int read_command_line(struct relay *r, int argc, char **argv);
static int read_environment(struct relay *r);
static int connect_host(struct relay *r);
static void start_cold(void);
static int send_head(struct relay *r);
static int exchange(struct relay *r);

int main(int argc, char **argv)
{
	static struct relay r = {.host = -1};
	int result = read_command_line(&r, argc, argv);

	if (result >= 0)
		return result;
	signal(SIGPIPE, SIG_IGN);
	relay_reply_init(&r.reply, REQUEST_ID);
	if (read_environment(&r) < 0)
		return relay_reply_page(400, "CONTENT_LENGTH is no number of bytes");
	if (connect_host(&r) < 0) {
		if (r.refused_errno != 0)
			return relay_reply_page(503, strerror(r.refused_errno));
		start_cold();
		return relay_reply_page(503, "no host listens, and exthost cannot be started");
	}
	if (send_head(&r) < 0 || exchange(&r) < 0)
		return relay_reply_page(502, r.reply.reason);
	return relay_reply_print(&r.reply);
}

static int usage(int status)
{
	static const char text[] =
	    "usage: #!/usr/bin/exthost-cgi [--socket PATH] [LANGUAGE]   as a script's first line\n"
	    "       exthost-cgi --version | --help\n"
	    "\n"
	    "The relay hands a CGI request to a running exthost and prints its reply. It looks for "
	    "the\n"
	    "host's socket at PATH, at .exthost.sock in DOCUMENT_ROOT, at " SYSTEM_SOCKET ";\n"
	    "when no host listens it runs the request by exthost, more slowly. Manual: "
	    "exthost-cgi(1).\n";

	(void)!write(status == 0 ? STDOUT_FILENO : STDERR_FILENO, text, sizeof(text) - 1);
	return status;
}

/* The kernel gives all that stands behind the program in a #! line as one argument. */
static int read_words(struct relay *r, char *words)
{
	char *rest = words;

	for (char *word = strsep(&rest, " \t"); word != NULL; word = strsep(&rest, " \t")) {
		if (word[0] == '\0')
			continue;
		if (strcmp(word, "--socket") == 0 && rest != NULL)
			r->socket_path = strsep(&rest, " \t");
		else if (word[0] == '-')
			return usage(2);
		/* A language's name is for the host, which reads the line itself. */
	}
	return -1;
}

/* -1 to go on, or the exit status. */
static int read_command_line(struct relay *r, int argc, char **argv)
{
	int result = -1;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		static const char text[] = "exthost-cgi " EXTHOST_VERSION "\n";

		(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
		return 0;
	}
	if (argc < 2 || argc > 3 || strcmp(argv[1], "--help") == 0)
		return usage(argc == 2 ? 0 : 2);
	if (argc == 3)
		result = read_words(r, argv[1]);
	r->script = argv[argc - 1];
	return result;
}

static void set_absolute(const char *name, const char *path)
{
	char folder[PATH_MAX];
	char absolute[2 * PATH_MAX];

	if (path == NULL || path[0] == '\0' || path[0] == '/' ||
	    getcwd(folder, sizeof(folder)) == NULL)
		return;
	snprintf(absolute, sizeof(absolute), "%s/%s", folder, path);
	setenv(name, absolute, 1);
}

static int read_environment(struct relay *r)
{
	const char *length = getenv("CONTENT_LENGTH");
	const char *script = getenv("SCRIPT_FILENAME");
	char *end;

	set_absolute("FOSSIL_REPOSITORY", getenv("FOSSIL_REPOSITORY"));
	if (script == NULL || script[0] != '/') {
		setenv("SCRIPT_FILENAME", r->script, 1);
		set_absolute("SCRIPT_FILENAME", r->script);
	}
	if (length == NULL || length[0] == '\0')
		return 0;
	errno = 0;
	r->body_left = strtoll(length, &end, 10);
	return length[0] < '0' || length[0] > '9' || *end != '\0' || errno != 0 ? -1 : 0;
}

/* A path can be longer than the 107 bytes of sun_path, so we connect from inside its folder. */
static int connect_path(struct relay *r, const char *folder, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timespec pause = {.tv_nsec = 5000000};
	int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int result = -1;

	if (strlen(name) < sizeof(address.sun_path) && chdir(folder) == 0) {
		strcpy(address.sun_path, name);
		r->host = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		for (int waited = 0; r->host >= 0 && waited < CONNECT_DEADLINE; waited += 5) {
			result = connect(r->host, (struct sockaddr *)&address, sizeof(address));
			if (result == 0 || errno != EAGAIN)
				break;
			nanosleep(&pause, NULL);
		}
		if (result < 0) {
			if (errno != ENOENT && errno != ECONNREFUSED)
				r->refused_errno = errno;
			close(r->host);
			r->host = -1;
		}
	}
	if (before >= 0) {
		(void)!fchdir(before);
		close(before);
	}
	return result;
}

static int connect_file(struct relay *r, const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || (size_t)(slash - path) >= sizeof(folder) - 1)
		return -1;
	snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - path), path);
	return connect_path(r, folder, slash + 1);
}

static int connect_host(struct relay *r)
{
	const char *root = getenv("DOCUMENT_ROOT");

	if (r->socket_path != NULL)
		return connect_file(r, r->socket_path);
	if (root != NULL && root[0] == '/' && connect_path(r, root, ".exthost.sock") == 0)
		return 0;
	return r->refused_errno != 0 ? -1 : connect_file(r, SYSTEM_SOCKET);
}

/* exthost stands beside the relay. The body is unread, and every descriptor as it was given. */
static void start_cold(void)
{
	char path[PATH_MAX];
	char *const arguments[] = {
	    (char *)"exthost", (char *)"request", (char *)"--cgi", getenv("SCRIPT_FILENAME"), NULL};
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("exthost"));

	signal(SIGPIPE, SIG_DFL);
	if (n > 0) {
		path[n] = '\0';
		strcpy(strrchr(path, '/') + 1, "exthost");
		execv(path, arguments);
	}
	execv(EXTHOST_BINDIR "/exthost", arguments);
	dprintf(STDERR_FILENO, "exthost-cgi: no host listens, and %s: %s\n",
	    n > 0 ? path : EXTHOST_BINDIR "/exthost", strerror(errno));
}

/* Send what is in r->out, waiting for room. Only the head is sent so, before any reply can come. */
static int flush_out(struct relay *r)
{
	while (r->out_sent < r->out_size) {
		ssize_t n =
		    send(r->host, r->out + r->out_sent, r->out_size - r->out_sent, MSG_NOSIGNAL);
		struct pollfd event = {.fd = r->host, .events = POLLOUT};

		if (n >= 0)
			r->out_sent += (size_t)n;
		else if (errno == EAGAIN)
			poll(&event, 1, -1);
		else if (errno != EINTR)
			return -1;
	}
	r->out_size = r->out_sent = 0;
	return 0;
}

/* Bytes of the PARAMS stream; a record is sent whenever the buffer is full. */
static int put_params(struct relay *r, const void *data, size_t size)
{
	const unsigned char *at = data;

	while (size > 0) {
		size_t used = r->out_size - WIRE_HEADER;
		size_t n = size < BODY_PIECE - used ? size : BODY_PIECE - used;

		memcpy(r->out + r->out_size, at, n);
		r->out_size += n;
		at += n;
		size -= n;
		if (used + n == BODY_PIECE) {
			wire_record_write(r->out, WIRE_PARAMS, REQUEST_ID, BODY_PIECE);
			if (flush_out(r) < 0)
				return -1;
			r->out_size = WIRE_HEADER;
		}
	}
	return 0;
}

static int put_param(struct relay *r, const char *name, size_t name_size, const char *value)
{
	unsigned char lengths[8];
	size_t n = wire_lengths_write(lengths, name_size, strlen(value));

	if (put_params(r, lengths, n) < 0 || put_params(r, name, name_size) < 0)
		return -1;
	return put_params(r, value, strlen(value));
}

static int send_head(struct relay *r)
{
	size_t content;

	r->reply.reason = "the host closed the connection";
	r->out_size = wire_begin_write(r->out, REQUEST_ID, WIRE_RESPONDER, 0);
	if (flush_out(r) < 0)
		return -1;
	r->out_size = WIRE_HEADER;
	for (char **item = environ; *item != NULL; item++) {
		const char *equals = strchr(*item, '=');

		if (equals != NULL && equals != *item &&
		    put_param(r, *item, (size_t)(equals - *item), equals + 1) < 0)
			return -1;
	}
	content = r->out_size - WIRE_HEADER;
	if (content > 0) {
		wire_record_write(r->out, WIRE_PARAMS, REQUEST_ID, content);
		memset(r->out + r->out_size, 0, wire_padding(content));
		r->out_size += wire_padding(content);
	} else {
		r->out_size = 0;
	}
	r->out_size += wire_record_write(r->out + r->out_size, WIRE_PARAMS, REQUEST_ID, 0);
	return flush_out(r);
}

/* The next piece of the body as a record, or the empty one that ends it. */
static int fill_body(struct relay *r)
{
	size_t want = r->body_left < BODY_PIECE ? (size_t)r->body_left : BODY_PIECE;
	ssize_t n = want > 0 ? read(STDIN_FILENO, r->out + WIRE_HEADER, want) : 0;
	size_t padding;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	/* A body that ends early is ended early; the host then answers 400. */
	r->body_left = n > 0 ? r->body_left - n : 0;
	padding = wire_padding((size_t)n);
	wire_record_write(r->out, WIRE_STDIN, REQUEST_ID, (size_t)n);
	memset(r->out + WIRE_HEADER + n, 0, padding);
	r->out_size = WIRE_HEADER + (size_t)n + padding;
	r->out_sent = 0;
	r->body_ended = n == 0;
	return 0;
}

static int send_some(struct relay *r)
{
	ssize_t n = send(r->host, r->out + r->out_sent, r->out_size - r->out_sent, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* The host may have answered without reading all; the answer is still to be read. */
		r->body_ended = true;
		r->out_size = r->out_sent = 0;
		return 0;
	}
	r->out_sent += n > 0 ? (size_t)n : 0;
	if (r->out_sent == r->out_size)
		r->out_size = r->out_sent = 0;
	return 0;
}

/* Body down and reply up, whichever can move, until the reply is whole. */
static int exchange(struct relay *r)
{
	for (;;) {
		bool want_body = r->out_size == 0 && !r->body_ended;
		struct pollfd events[] = {
		    {.fd = r->host, .events = (short)(POLLIN | (r->out_size > 0 ? POLLOUT : 0))},
		    {.fd = want_body && r->body_left > 0 ? STDIN_FILENO : -1, .events = POLLIN},
		    {.fd = STDOUT_FILENO, .events = 0}};

		if (want_body && r->body_left == 0) {
			if (fill_body(r) < 0)
				return -1;
			continue;
		}
		if (poll(events, 3, -1) < 0 && errno != EINTR)
			return -1;
		/* Fossil is gone: with the connection closed the host ends the run. */
		if ((events[2].revents & POLLERR) != 0)
			_exit(0);
		if ((events[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && fill_body(r) < 0)
			return -1;
		if ((events[0].revents & POLLOUT) != 0 && send_some(r) < 0)
			return -1;
		if ((events[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
			int result = relay_reply_read(&r->reply, r->host);

			if (result != 0)
				return result < 0 ? -1 : 0;
		}
	}
}
