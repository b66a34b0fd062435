/*
 * SOCK_SEQPACKET, so that packets of two senders (the request process and the template) never mix.
 * An order can be larger than one packet may be: a head with the descriptors, then the strings in
 * pieces.
 */
#include "run_channel.h"

#include "fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define PIECE 65536

enum { HAS_CODE = 1, HAS_BODY = 2 };

struct order_head {
	uint32_t size;      /* of all strings together, the script's path first */
	uint32_t variables; /* how many strings follow the path */
	uint32_t flags;
	struct run_limits limits;
};

static char *pack_strings(const struct run_order *order, struct order_head *head)
{
	size_t size = strlen(order->script) + 1;
	char *memory, *at;

	for (char **item = order->environment; *item != NULL; item++) {
		size += strlen(*item) + 1;
		head->variables++;
	}
	memory = malloc(size);
	if (memory == NULL)
		return NULL;
	head->size = (uint32_t)size;
	at = stpcpy(memory, order->script) + 1;
	for (char **item = order->environment; *item != NULL; item++)
		at = stpcpy(at, *item) + 1;
	return memory;
}

int run_order_send(int channel, const struct run_order *order)
{
	struct order_head head = {.limits = order->limits};
	int fds[FD_PASS_MAX] = {order->source};
	int count = 1;
	char *memory = pack_strings(order, &head);
	int result = memory != NULL ? 0 : -1;

	if (order->code >= 0) {
		head.flags |= HAS_CODE;
		fds[count++] = order->code;
	}
	if (order->body >= 0) {
		head.flags |= HAS_BODY;
		fds[count++] = order->body;
	}
	if (result == 0)
		result = fd_send(channel, &head, sizeof(head), fds, count);
	for (size_t sent = 0; result == 0 && sent < head.size; sent += PIECE) {
		size_t left = head.size - sent;

		result = fd_send(channel, memory + sent, left < PIECE ? left : PIECE, NULL, 0);
	}
	free(memory);
	return result;
}

static int receive_strings(int channel, const struct order_head *head, char *memory)
{
	for (size_t have = 0; have < head->size;) {
		ssize_t n = recv(channel, memory + have, head->size - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		have += (size_t)n;
	}
	return 0;
}

/* The environment's pointers stand in front of the strings, in the same piece of memory. */
int run_order_receive(int channel, struct run_order *order, char **memory)
{
	struct order_head head;
	int fds[FD_PASS_MAX];
	ssize_t n = fd_receive(channel, &head, sizeof(head), fds, 0);
	size_t pointers;
	char *at;
	int next = 1;

	if (n <= 0)
		return (int)n;
	pointers = (head.variables + 1) * sizeof(char *);
	*memory = malloc(pointers + head.size);
	if (*memory == NULL || receive_strings(channel, &head, *memory + pointers) < 0)
		return -1;
	order->limits = head.limits;
	order->source = fds[0];
	order->code = (head.flags & HAS_CODE) != 0 ? fds[next++] : -1;
	order->body = (head.flags & HAS_BODY) != 0 ? fds[next++] : -1;
	at = *memory + pointers;
	order->script = at;
	order->environment = (char **)*memory;
	for (uint32_t i = 0; i < head.variables; i++) {
		at += strlen(at) + 1;
		order->environment[i] = at;
	}
	order->environment[head.variables] = NULL;
	return 1;
}

int run_report_send(
    int channel, enum run_report_type type, int32_t value, const char *text, int descriptor)
{
	struct run_report report = {.type = type, .value = value};
	size_t size = strnlen(text, RUN_TEXT_MAX - 1);

	memcpy(report.text, text, size);
	return fd_send(channel, &report, offsetof(struct run_report, text) + size + 1, &descriptor,
	    descriptor >= 0 ? 1 : 0);
}

int run_report_end(
    int channel, enum run_report_type type, int32_t value, const struct rusage *usage)
{
	struct run_report report = {.type = type,
	    .value = value,
	    .cpu = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
		   (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec),
	    .peak = (uint64_t)usage->ru_maxrss};

	return fd_send(channel, &report, offsetof(struct run_report, text) + 1, NULL, 0);
}

int run_report_receive(int channel, struct run_report *report, int *descriptor)
{
	int fds[FD_PASS_MAX];
	ssize_t n = fd_receive(channel, report, sizeof(*report), fds, MSG_DONTWAIT);

	*descriptor = fds[0];
	for (int i = 1; i < FD_PASS_MAX; i++)
		fd_close(&fds[i]);
	if (n <= 0)
		return (int)n;
	if ((size_t)n < offsetof(struct run_report, text)) {
		/* A script wrote to the channel, which is not its business. */
		report->type = 0;
		n = (ssize_t)offsetof(struct run_report, text);
	}
	if ((size_t)n == sizeof(*report))
		n--;
	((char *)report)[n] = '\0';
	return 1;
}
