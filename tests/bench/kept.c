/*
 * Kept-alive FastCGI connections, straight to a unix socket: so many, each with a request under way
 * all the time, for so many seconds. Prints the figures in load.lua's order, and how many of the
 * connections were never answered. What is still waited for at the end counts by its age.
 *
 *	kept SOCKET SCRIPT_FILENAME CONNECTIONS SECONDS
 */
#define _GNU_SOURCE

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, HEADER = 8, MOST = 1000000 };

struct connection {
	unsigned char have[65536 + 1];
	size_t size;
	double asked; /* microseconds */
	size_t answers;
};

static unsigned char request[4096];
static size_t request_size;
static double latencies[MOST];
static size_t count, errors;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void add_record(unsigned char type, const void *content, size_t size)
{
	unsigned char header[HEADER] = {
	    1, type, 0, 1, (unsigned char)(size >> 8), (unsigned char)size};

	memcpy(request + request_size, header, HEADER);
	memcpy(request + request_size + HEADER, content, size);
	request_size += HEADER + size;
}

/* Names and values of less than 128 bytes. */
static void make_request(const char *script)
{
	const char *const pairs[][2] = {{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", ""},
	    {"PATH_INFO", "/kept/hello"}, {"REQUEST_URI", "/kept/hello"}, {"QUERY_STRING", ""},
	    {"SERVER_PROTOCOL", "HTTP/1.1"}, {"SERVER_NAME", "localhost"}, {"SERVER_PORT", "80"},
	    {"REMOTE_ADDR", "127.0.0.1"}, {"SCRIPT_FILENAME", script}};
	char block[2048];
	size_t size = 0;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		block[size++] = (char)strlen(pairs[i][0]);
		block[size++] = (char)strlen(pairs[i][1]);
		size += (size_t)snprintf(
		    block + size, sizeof(block) - size, "%s%s", pairs[i][0], pairs[i][1]);
	}
	add_record(BEGIN_REQUEST, "\0\1\1\0\0\0\0\0", 8);
	add_record(PARAMS, block, size);
	add_record(PARAMS, "", 0);
	add_record(STDIN, "", 0);
}

/* Give up this connection. Only the first failure of all is printed. */
static void fail(struct connection *c, struct pollfd *p, const char *what)
{
	if (errors++ == 0)
		fprintf(stderr, "kept: %s, connection of %zu answers: %s; %zu bytes: %.200s\n",
		    what, c->answers, errno != 0 ? strerror(errno) : "no error", c->size,
		    c->size > HEADER ? (char *)c->have + HEADER : "");
	p->fd = -1;
}

static void ask(struct connection *c, struct pollfd *p)
{
	c->size = 0;
	c->asked = now();
	errno = 0;
	if (send(p->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
		fail(c, p, "send");
}

/* 1: the answer is whole. 0: not yet. */
static int is_answered(const struct connection *c)
{
	for (size_t at = 0; at + HEADER <= c->size;) {
		const unsigned char *record = c->have + at;

		at += HEADER + (size_t)(record[4] << 8 | record[5]) + record[6];
		if (record[1] == END_REQUEST && at <= c->size)
			return 1;
	}
	return 0;
}

static void take(struct connection *c, struct pollfd *p)
{
	ssize_t n;

	errno = 0;
	n = recv(p->fd, c->have + c->size, sizeof(c->have) - 1 - c->size, 0);
	if (n <= 0) {
		fail(c, p, "recv");
		return;
	}
	c->size += (size_t)n;
	if (!is_answered(c))
		return;
	if (memmem(c->have, c->size, "hello", 5) == NULL) {
		fail(c, p, "answer");
		return;
	}
	if (count < MOST - 1000)
		latencies[count++] = now() - c->asked;
	c->answers++;
	ask(c, p);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run(struct connection *all, struct pollfd *polled, int connections, double end)
{
	while (now() < end && poll(polled, (nfds_t)connections, 100) >= 0)
		for (int i = 0; i < connections; i++)
			if (polled[i].fd >= 0 && polled[i].revents != 0)
				take(&all[i], &polled[i]);
}

int main(int argc, char **argv)
{
	int connections = argc == 5 ? atoi(argv[3]) : 0;
	struct connection *all = calloc((size_t)connections + 1, sizeof(*all));
	struct pollfd *polled = calloc((size_t)connections + 1, sizeof(*polled));
	double began = now(), lasted;
	size_t answered, unanswered = 0;

	if (connections < 1 || strlen(argv[2]) > 127) {
		fprintf(stderr, "usage: kept SOCKET SCRIPT_FILENAME CONNECTIONS SECONDS\n");
		return 2;
	}
	make_request(argv[2]);
	for (int i = 0; i < connections; i++) {
		polled[i] = (struct pollfd){.fd = connect_to(argv[1]), .events = POLLIN};
		ask(&all[i], &polled[i]);
	}
	run(all, polled, connections, began + atof(argv[4]) * 1e6);
	lasted = now() - began;
	answered = count;
	for (int i = 0; i < connections; i++) {
		unanswered += all[i].answers == 0;
		latencies[count++] = now() - all[i].asked;
	}
	qsort(latencies, count, sizeof(*latencies), compare);
	printf("figures %zu %.0f %zu 0 %.0f %.0f %.0f %zu\n", answered, lasted, errors,
	    latencies[count / 2], latencies[count * 99 / 100], latencies[count - 1], unanswered);
	free(all);
	free(polled);
	return 0;
}
