/*
 * exthost-cgi, the relay: CGI on one side, FastCGI to the host on the other. Fossil starts it for
 * each request, as the interpreter in a script's shebang line, so it is static, knows no
 * interpreter, and uses the same small memory for every request.
 *
 * The relay and the host together repair what plain CGI suffers under Fossil. The relay reads
 * exactly CONTENT_LENGTH bytes, since Fossil does not close the pipe. It moves bytes in both
 * directions at once, since Fossil writes the whole body before it reads. It prints nothing before
 * the reply is known to be whole, since Fossil takes whatever it has read for a reply and never
 * looks at the exit status. When no host listens, the relay replaces itself with exthost, which
 * runs the request cold.
 */
#include "net/wire.h"
#include "relay/relay_reply.h"
#include "relay/relay_start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_ID 1
#define PIECE 32768             /* content of the records sent; a multiple of 8 */
#define BODY_TIMEOUT_MS 1000    /* for the first byte of a body that may never come */
#define CONNECT_TIMEOUT_MS 5000 /* while the host's queue of connections is full */
#define SYSTEM_SOCKET "/run/exthost/exthost.sock"
#define PLAIN_BYTES "-=._/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NO_HOST "no host listens, and exthost cannot be started"

struct relay {
	const char *script; /* from the command line; NULL: the environment has it */
	const char *socket_path;
	long long body_left;
	int host;
	int refused_errno; /* why connecting to an existing socket failed; 0: no host was found */
	struct relay_reply reply;
	/* Bytes for the host that are not sent yet: at most the end of PARAMS and of STDIN. */
	char **variable; /* the next variable of the environment */
	/* Bytes of its pair already sent: a pair can be larger than the buffer. */
	size_t variable_at;
	unsigned char out[WIRE_FIXED + WIRE_HEADER + PIECE + 2 * WIRE_HEADER];
	size_t out_size, out_sent;
	bool deaf; /* the host does not read any more */
};

static int read_command_line(struct relay *r, int argc, char **argv);
static const char *read_environment(struct relay *r);
static int connect_host(struct relay *r);
static int exchange(struct relay *r);
static void drain_body(struct relay *r);

int main(int argc, char **argv)
{
	static struct relay r;
	const char *fault;
	int result;

	if (!relay_start_is_relay(argc, argv))
		return relay_start_interpreter(argv);
	result = read_command_line(&r, argc, argv);
	if (result >= 0)
		return result;
	signal(SIGPIPE, SIG_IGN);
	relay_reply_init(&r.reply, REQUEST_ID);
	fault = read_environment(&r);
	if (fault != NULL)
		return relay_reply_page(400, fault);
	if (connect_host(&r) < 0) {
		if (r.refused_errno == 0)
			relay_start_cold();
		drain_body(&r);
		return relay_reply_page(
		    503, r.refused_errno != 0 ? strerror(r.refused_errno) : NO_HOST);
	}
	result = exchange(&r);
	drain_body(&r);
	if (result < 0)
		return relay_reply_page(r.reply.status, r.reply.reason);
	return relay_reply_print(&r.reply);
}

static int usage(int status)
{
	static const char text[] =
	    "usage: #!/usr/bin/exthost-cgi [--socket PATH] [LANGUAGE]   (a script's first line)\n"
	    "       exthost-cgi --version | --help\n\n"
	    "The relay hands a CGI request to a running exthost and prints its reply. It tries\n"
	    "the sockets PATH, .exthost.sock in DOCUMENT_ROOT, and " SYSTEM_SOCKET ".\n"
	    "When no host listens, exthost runs the request, slower. See exthost-cgi(1).\n";

	(void)!write(status == 0 ? STDOUT_FILENO : STDERR_FILENO, text, sizeof(text) - 1);
	if (status != 0 && getenv("GATEWAY_INTERFACE") != NULL)
		relay_reply_page(500, "the relay was started without a script");
	return status;
}

/* Exit status 2. The page names no path, and an option with other bytes than these not at all. */
static int refuse_option(const struct relay *r, const char *option)
{
	const char *slash = strrchr(r->script, '/');
	char reason[256];

	if (strcmp(option, "--socket") == 0)
		option = "--socket without a PATH";
	else if (option[strspn(option, PLAIN_BYTES)] != '\0')
		option = "an unknown option";
	snprintf(reason, sizeof(reason),
	    "the shebang line of %.80s has %.80s; known are --socket PATH and a language",
	    slash != NULL ? slash + 1 : r->script, option);
	/* A server that takes empty output for success needs a page as well. */
	if (getenv("GATEWAY_INTERFACE") != NULL)
		relay_reply_page(500, reason);
	else
		dprintf(STDERR_FILENO, "exthost-cgi: %s\n", reason);
	return 2;
}

/* The kernel passes everything after the program in a shebang line as one argument. */
static int read_words(struct relay *r, char *words)
{
	char *rest;

	for (char *word = strtok_r(words, " \t", &rest); word != NULL;
	     word = strtok_r(NULL, " \t", &rest)) {
		/* A language's name is for the host, which reads the line itself. */
		if (word[0] != '-')
			continue;
		if (strcmp(word, "--socket") == 0)
			r->socket_path = strtok_r(NULL, " \t", &rest);
		if (strcmp(word, "--socket") != 0 || r->socket_path == NULL)
			return refuse_option(r, word);
	}
	return -1;
}

/* -1 to go on, or the exit status. */
static int read_command_line(struct relay *r, int argc, char **argv)
{
	if (!relay_start_by_own_name(argc, argv)) {
		/* Options of the interpreter, and its name after env, are not for the relay. */
		r->script = argv[argc - 1];
		return -1;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		dprintf(STDOUT_FILENO, "exthost-cgi %s\n", EXTHOST_VERSION);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(0);
	if (argc < 2 || argc > 3 || argv[argc - 1][0] == '-')
		return usage(2);
	r->script = argv[argc - 1];
	return argc == 3 ? read_words(r, argv[1]) : -1;
}

static void set_absolute(const char *name, const char *path)
{
	char directory[PATH_MAX];
	char absolute[2 * PATH_MAX];

	if (path == NULL || path[0] == '\0' || path[0] == '/' ||
	    getcwd(directory, sizeof(directory)) == NULL)
		return;
	snprintf(absolute, sizeof(absolute), "%s/%s", directory, path);
	setenv(name, absolute, 1);
}

/* Fossil does not pass on a body without a Content-Type, but sets CONTENT_LENGTH all the same. */
static bool body_will_come(const struct relay *r)
{
	const char *type = getenv("CONTENT_TYPE");
	struct pollfd body = {.fd = STDIN_FILENO, .events = POLLIN};

	return r->body_left == 0 || (type != NULL && type[0] != '\0') ||
	       getenv("FOSSIL_NONCE") == NULL || poll(&body, 1, BODY_TIMEOUT_MS) != 0;
}

/* NULL, or what is wrong with the environment. */
static const char *read_environment(struct relay *r)
{
	const char *length = getenv("CONTENT_LENGTH");
	const char *script = getenv("SCRIPT_FILENAME");
	char *end;

	set_absolute("FOSSIL_REPOSITORY", getenv("FOSSIL_REPOSITORY"));
	if (r->script != NULL && (script == NULL || script[0] != '/')) {
		setenv("SCRIPT_FILENAME", r->script, 1);
		set_absolute("SCRIPT_FILENAME", r->script);
	}
	if (length == NULL || length[0] == '\0')
		return NULL;
	errno = 0;
	r->body_left = strtoll(length, &end, 10);
	if (length[0] < '0' || length[0] > '9' || *end != '\0' || errno != 0)
		return "CONTENT_LENGTH is no number of bytes";
	return body_will_come(r) ? NULL : "Fossil does not pass on a body without a Content-Type";
}

/* Fill in the address. For a path longer than its 107 bytes, change into the socket's directory. */
static int set_address(struct sockaddr_un *address, const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path)) {
		if (slash == NULL || strlen(path) >= sizeof(directory) ||
		    strlen(slash + 1) >= sizeof(address->sun_path))
			return -1;
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + 1, path);
		if (chdir(directory) < 0)
			return -1;
		path = slash + 1;
	}
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
	return 0;
}

/* True if a host may be there and refuses this user; false if no host is known to be there. */
static bool is_refusal(const char *path, int reason)
{
	if (reason == EACCES && access(path, F_OK) < 0)
		return false; /* a directory hides it */
	return reason != ENOENT && reason != ENOTDIR && reason != ECONNREFUSED;
}

/* 0, or -1: refused_errno is set if no other socket must be tried. */
static int connect_path(struct relay *r, const char *path)
{
	int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sockaddr_un address;
	int result = -1, reason;

	if (set_address(&address, path) == 0) {
		r->host = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		for (int waited = 0; r->host >= 0 && waited < CONNECT_TIMEOUT_MS; waited += 5) {
			result = connect(r->host, (struct sockaddr *)&address, sizeof(address));
			if (result == 0 || errno != EAGAIN)
				break;
			poll(NULL, 0, 5);
		}
		reason = errno;
		if (result < 0 && is_refusal(address.sun_path, reason)) {
			r->refused_errno = reason;
			dprintf(
			    STDERR_FILENO, "exthost-cgi: connect %s: %s\n", path, strerror(reason));
		}
	}
	if (before >= 0) {
		(void)!fchdir(before);
		close(before);
	}
	return result;
}

/* Connect to the first of the three sockets at which a host listens. */
static int connect_host(struct relay *r)
{
	const char *root = getenv("DOCUMENT_ROOT");
	char path[PATH_MAX];

	if (r->socket_path != NULL && connect_path(r, r->socket_path) == 0)
		return 0;
	if (r->refused_errno == 0 && root != NULL && root[0] == '/' &&
	    snprintf(path, sizeof(path), "%s/.exthost.sock", root) < (int)sizeof(path) &&
	    connect_path(r, path) == 0)
		return 0;
	return r->refused_errno == 0 ? connect_path(r, SYSTEM_SOCKET) : -1;
}

/* Put a record's header before its content, which is in place already, and padding after it. */
static void finish_record(struct relay *r, enum wire_type type, size_t content)
{
	size_t padding = wire_padding(content);

	r->out_size += wire_record_write(r->out + r->out_size, type, REQUEST_ID, content) + content;
	memcpy(r->out + r->out_size, (const char[WIRE_HEADER]){0}, padding);
	r->out_size += padding;
}

/* Copy as much of the next variable's pair as there is room for. The number of bytes. */
static size_t copy_variable(struct relay *r, unsigned char *out, size_t room)
{
	char *name = *r->variable;
	char *value = strchr(name, '=');
	unsigned char lengths[8];
	size_t skip = r->variable_at, have = 0;

	if (value == NULL || value == name) {
		r->variable++;
		return 0;
	}
	const size_t name_size = (size_t)(value++ - name), value_size = strlen(value);
	const struct iovec parts[] = {{lengths, wire_lengths_write(lengths, name_size, value_size)},
	    {name, name_size}, {value, value_size}};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t skipped = skip < parts[i].iov_len ? skip : parts[i].iov_len;
		size_t left = parts[i].iov_len - skipped;
		size_t n = left < room - have ? left : room - have;

		memcpy(out + have, (unsigned char *)parts[i].iov_base + skipped, n);
		skip -= skipped;
		have += n;
	}
	r->variable_at += have;
	if (r->variable_at == parts[0].iov_len + name_size + value_size) {
		r->variable++;
		r->variable_at = 0;
	}
	return have;
}

/* Fill the buffer with the next part of the environment. */
static void fill_params(struct relay *r)
{
	size_t content = 0;

	while (*r->variable != NULL && content < PIECE)
		content +=
		    copy_variable(r, r->out + r->out_size + WIRE_HEADER + content, PIECE - content);
	if (content > 0)
		finish_record(r, WIRE_PARAMS, content);
	if (*r->variable != NULL)
		return;
	finish_record(r, WIRE_PARAMS, 0);
	if (r->body_left == 0)
		finish_record(r, WIRE_STDIN, 0);
}

/* Fill the buffer with the next part of the body, never more than CONTENT_LENGTH in all. */
static void fill_body(struct relay *r)
{
	size_t want = r->body_left < PIECE ? (size_t)r->body_left : PIECE;
	ssize_t n = read(STDIN_FILENO, r->out + WIRE_HEADER, want);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		finish_record(r, WIRE_STDIN, (size_t)n);
	/* If the body ends early, so does its stream; the host then answers 400. */
	r->body_left = n > 0 ? r->body_left - n : 0;
	if (r->body_left == 0)
		finish_record(r, WIRE_STDIN, 0);
}

static void send_some(struct relay *r)
{
	ssize_t n = send(r->host, r->out + r->out_sent, r->out_size - r->out_sent, MSG_NOSIGNAL);

	if (n > 0)
		r->out_sent += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR) {
		/*
		 * The host may have replied without reading everything, so go on reading the reply.
		 */
		r->deaf = true;
		r->out_sent = r->out_size;
	}
	if (r->out_sent == r->out_size)
		r->out_size = r->out_sent = 0;
}

/* Send the request and read the reply at once. 1: the reply is whole; -1: it never will be. */
static int exchange(struct relay *r)
{
	const short any = POLLIN | POLLHUP | POLLERR | POLLNVAL;
	int result;

	r->out_size = wire_begin_write(r->out, REQUEST_ID, WIRE_RESPONDER, 0);
	r->variable = environ;
	fill_params(r);
	for (;;) {
		if (r->out_size > 0)
			send_some(r);
		if (r->out_size == 0 && *r->variable != NULL && !r->deaf) {
			fill_params(r);
			continue;
		}
		const bool want_body = r->out_size == 0 && r->body_left > 0 && !r->deaf;
		struct pollfd events[] = {
		    {.fd = r->host, .events = r->out_size > 0 ? POLLIN | POLLOUT : POLLIN},
		    {.fd = want_body ? STDIN_FILENO : -1, .events = POLLIN},
		    {.fd = STDOUT_FILENO, .events = 0}};

		if (poll(events, 3, -1) < 0)
			continue;
		/* Fossil is gone. The connection closes here, and so the host ends the run. */
		if ((events[2].revents & any) != 0)
			_exit(0);
		if ((events[1].revents & any) != 0)
			fill_body(r);
		if ((events[0].revents & any) != 0) {
			result = relay_reply_read(&r->reply, r->host);
			if (result != 0)
				return result;
		}
	}
}

/* The sender of the body reads no reply before all of it is gone: read what the host has left. */
static void drain_body(struct relay *r)
{
	struct pollfd body = {.fd = STDIN_FILENO, .events = POLLIN};

	while (r->body_left > 0 && poll(&body, 1, -1) > 0) {
		r->out_size = 0;
		fill_body(r);
	}
}
