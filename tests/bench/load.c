/*
 * The load: so many clients, each asking over and over on a new connection and waiting for the
 * whole answer. Prints one line: requests a second, and the median and 90th percentile of the
 * latency in microseconds. Ends with 1 when an answer is not a 200 with the text that is expected.
 *
 *	load PORT PATH TEXT CLIENTS REQUESTS
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct client {
	pthread_t thread;
	const char *path, *text;
	int port, requests, failed;
	double *latencies; /* microseconds */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ask(const struct client *c)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_port = htons((unsigned short)c->port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char buffer[65536];
	size_t have = 0;
	ssize_t n = 1;
	int size =
	    snprintf(buffer, sizeof(buffer), "GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", c->path);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    write(fd, buffer, (size_t)size) != size)
		n = -1;
	while (n > 0 && have < sizeof(buffer) - 1) {
		n = read(fd, buffer + have, sizeof(buffer) - 1 - have);
		have += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	buffer[have] = '\0';
	return n == 0 && strstr(buffer, " 200 ") != NULL && strstr(buffer, c->text) != NULL ? 0
											    : -1;
}

static void *client_main(void *argument)
{
	struct client *c = argument;

	for (int i = 0; i < c->requests; i++) {
		double began = now();

		c->failed += ask(c) < 0;
		c->latencies[i] = now() - began;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int count = argc == 6 ? atoi(argv[4]) : 0;
	int each = count > 0 ? atoi(argv[5]) / count : 0;
	struct client *clients = calloc((size_t)count + 1, sizeof(*clients));
	double *latencies = calloc((size_t)count * (size_t)each + 1, sizeof(*latencies));
	double began;
	int failed = 0;

	if (each < 1) {
		fprintf(stderr, "usage: load PORT PATH TEXT CLIENTS REQUESTS\n");
		return 2;
	}
	began = now();
	for (int i = 0; i < count; i++) {
		clients[i] = (struct client){.path = argv[2],
		    .text = argv[3],
		    .port = atoi(argv[1]),
		    .requests = each,
		    .latencies = latencies + (size_t)i * (size_t)each};
		pthread_create(&clients[i].thread, NULL, client_main, &clients[i]);
	}
	for (int i = 0; i < count; i++) {
		pthread_join(clients[i].thread, NULL);
		failed += clients[i].failed;
	}
	began = now() - began;
	qsort(latencies, (size_t)count * (size_t)each, sizeof(*latencies), compare);
	printf("%.1f %.1f %.1f\n", count * each / began * 1e6, latencies[count * each / 2],
	    latencies[count * each * 9 / 10]);
	if (failed > 0)
		fprintf(stderr, "load: %d of %d answers were wrong\n", failed, count * each);
	free(clients);
	free(latencies);
	return failed > 0;
}
