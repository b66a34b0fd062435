/*
 * SOCK_SEQPACKET, so that the packets of two senders (the request process and the template) never
 * mix. An order that is larger than a packet may be is sent in pieces, the descriptors with the
 * first.
 */
#include "ipc/run_channel.h"

#include "base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define PIECE 16384

#define DESCRIPTORS 4 /* of an order */
#define FORCE 16U     /* in the flags, above one bit for each descriptor */

struct order_head {
	uint32_t kind;
	/* Bytes of all strings together; the script's path comes first. */
	uint32_t size;
	uint32_t settings;  /* number of strings after the path */
	uint32_t variables; /* number of strings after the settings */
	uint32_t flags;
	int64_t accept;
	uint64_t body_size;
	struct run_limits limits;
};

static const char *text_of(const char *setting)
{
	return setting != NULL ? setting : "";
}

/* The head and after it all strings, in one block of memory; NULL with errno. */
static char *pack(const struct run_order *order, struct order_head *head)
{
	size_t size = strlen(order->script) + 1;
	char *memory, *at;

	head->settings = (uint32_t)order->setting_count;
	for (size_t i = 0; i < order->setting_count; i++)
		size += strlen(text_of(order->settings[i])) + 1;
	for (char **item = order->environment; *item != NULL; item++) {
		size += strlen(*item) + 1;
		head->variables++;
	}
	memory = malloc(sizeof(*head) + size);
	if (memory == NULL)
		return NULL;
	head->size = (uint32_t)size;
	memcpy(memory, head, sizeof(*head));
	at = stpcpy(memory + sizeof(*head), order->script) + 1;
	for (size_t i = 0; i < order->setting_count; i++)
		at = stpcpy(at, text_of(order->settings[i])) + 1;
	for (char **item = order->environment; *item != NULL; item++)
		at = stpcpy(at, *item) + 1;
	return memory;
}

int run_order_send(int channel, const struct run_order *order)
{
	const int given[] = {order->source, order->code, order->body, order->output};
	struct order_head head = {.kind = order->kind,
	    .flags = order->force ? FORCE : 0,
	    .accept = order->accept,
	    .body_size = order->body_size,
	    .limits = order->limits};
	int fds[DESCRIPTORS];
	int count = 0;
	int result = 0;
	char *memory;
	size_t size;

	for (int i = 0; i < DESCRIPTORS; i++) {
		if (given[i] < 0)
			continue;
		head.flags |= 1U << i;
		fds[count++] = given[i];
	}
	memory = pack(order, &head);
	if (memory == NULL)
		return -1;
	size = sizeof(head) + head.size;
	for (size_t sent = 0; result == 0 && sent < size; sent += PIECE) {
		size_t left = size - sent;

		result = fd_send(channel, memory + sent, left < PIECE ? left : PIECE, fds, count);
		count = 0;
	}
	free(memory);
	return result;
}

static int receive_rest(int channel, char *strings, size_t have, size_t size)
{
	while (have < size) {
		ssize_t n = recv(channel, strings + have, size - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		have += (size_t)n;
	}
	return 0;
}

static void take_descriptors(struct run_order *order, uint32_t flags, const int *fds)
{
	int *const places[] = {&order->source, &order->code, &order->body, &order->output};

	for (int i = 0; i < DESCRIPTORS; i++)
		*places[i] = (flags & 1U << i) != 0 ? *fds++ : -1;
}

/*
 * Into these places: those of the environment, NULL at their end, and then those of the settings.
 */
static void take_strings(
    struct run_order *order, const struct order_head *head, char *strings, char **places)
{
	char **settings = places + head->variables + 1;

	order->script = strings;
	for (uint32_t i = 0; i < head->settings; i++) {
		strings += strlen(strings) + 1;
		settings[i] = strings[0] != '\0' ? strings : NULL;
	}
	for (uint32_t i = 0; i < head->variables; i++) {
		strings += strlen(strings) + 1;
		places[i] = strings;
	}
	places[head->variables] = NULL;
	order->environment = places;
	order->settings = settings;
	order->setting_count = head->settings;
}

/*
 * A worker that is killed while it waits must not take an order with it that another worker can
 * follow. A process that dies in recv(2) may already have taken the packet; in poll(2) it has not.
 */
static void wait_for_order(int channel)
{
	struct pollfd event = {.fd = channel, .events = POLLIN};

	while (poll(&event, 1, -1) < 0 && errno == EINTR)
		;
}

bool run_order_wait(int channel)
{
	struct pollfd event = {.fd = channel, .events = POLLIN};

	return poll(&event, 1, -1) >= 0 || errno != EINTR;
}

/* Read the head, which stays in the channel. 1; 0 at its end; -1 with errno. */
static int look_at_head(int channel, struct order_head *head)
{
	ssize_t n;

	wait_for_order(channel);
	do
		n = recv(channel, head, sizeof(*head), MSG_PEEK);
	while (n < 0 && errno == EINTR);
	return n > 0 ? 1 : (int)n;
}

/* One block of memory: the pointers to the strings, then the head, then the strings. */
int run_order_receive(int channel, struct run_order *order, void **memory)
{
	struct order_head head;
	int fds[FD_PASS_MAX];
	size_t pointers;
	char *packet, *strings;
	ssize_t n = look_at_head(channel, &head);

	if (n != 1)
		return (int)n;
	pointers = ((size_t)head.variables + 1 + head.settings) * sizeof(char *);
	*memory = malloc(pointers + sizeof(head) + head.size);
	if (*memory == NULL)
		return -1;
	packet = (char *)*memory + pointers;
	n = fd_receive(channel, packet, sizeof(head) + head.size, fds, 0);
	if (n <= 0)
		return (int)n;
	strings = packet + sizeof(head);
	if (receive_rest(channel, strings, (size_t)n - sizeof(head), head.size) < 0)
		return -1;
	*order = (struct run_order){.kind = head.kind,
	    .force = (head.flags & FORCE) != 0,
	    .accept = head.accept,
	    .body_size = head.body_size,
	    .limits = head.limits};
	take_descriptors(order, head.flags, fds);
	take_strings(order, &head, strings, *memory);
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
		/* A script has written to the channel, which it must not do. */
		report->type = 0;
		n = (ssize_t)offsetof(struct run_report, text);
	}
	if ((size_t)n == sizeof(*report))
		n--;
	((char *)report)[n] = '\0';
	return 1;
}
