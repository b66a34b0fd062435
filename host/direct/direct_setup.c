/* Taken off the channel, and its descriptors put where no script expects any. */
#include "direct/direct_setup.h"

#include "base/fd.h"
#include "ipc/load_order.h"
#include "ipc/scoreboard.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* 0, or -1: no memory. */
static int take_order(struct direct_setup *s, const struct load_order *order)
{
	s->name = order->name;
	s->log = (struct log){.json = order->log_json, .least = (enum log_level)order->log_level};
	s->config = (struct config){.root = strdup(order->root),
	    .tmpdir = strdup(order->tmpdir),
	    .prefix = strdup(order->prefix),
	    .debug = order->debug,
	    .max_header = order->max_header,
	    .max_connections = order->max_connections,
	    .body_timeout = order->body_timeout,
	    .reply_buffer = order->reply_buffer,
	    .allow_uid = order->allow_uid,
	    .allow_gid = order->allow_gid,
	    .allow_from = order->allow_from,
	    .limits = {.max_body = order->max_body,
		.max_reply = order->max_reply,
		.timeout = order->timeout}};
	return s->config.root == NULL || s->config.tmpdir == NULL || s->config.prefix == NULL ? -1
											      : 0;
}

int direct_setup_receive(
    struct direct_setup *s, int channel, const char *script, const struct load_order *order)
{
	struct run_serve_files files;
	int fds[FD_PASS_MAX];
	void *memory;

	*s = (struct direct_setup){.give = -1, .take = -1};
	if (take_order(s, order) < 0)
		return -1;
	if (fd_receive(channel, &files, sizeof(files), fds, 0) != (ssize_t)sizeof(files))
		return -1;
	for (int i = 0; i < FD_PASS_MAX; i++)
		fds[i] = fd_move_high(fds[i]);
	s->log.fd = fds[RUN_SERVE_LOG];
	s->give = fds[RUN_SERVE_GIVE];
	s->take = fds[RUN_SERVE_TAKE];
	for (; s->listener_count < files.listeners; s->listener_count++)
		s->listeners[s->listener_count] =
		    (struct listener){.fd = fds[RUN_SERVE_LISTENERS + s->listener_count],
			.kind = (files.is_tcp & 1U << s->listener_count) != 0 ? LISTENER_TCP
									      : LISTENER_UNIX,
			.address = (char *)script,
			.prefix = s->config.prefix,
			.trust_fossil = (files.trusted & 1U << s->listener_count) != 0};
	s->alarm = fd_move_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	s->ping = fd_move_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	memory = mmap(
	    NULL, sizeof(*s->slot), PROT_READ | PROT_WRITE, MAP_SHARED, fds[RUN_SERVE_SLOT], 0);
	fd_close(&fds[RUN_SERVE_SLOT]);
	if (memory == MAP_FAILED)
		return -1;
	s->slot = memory;
	for (size_t i = 0; i < SCOREBOARD_CONNECTIONS; i++) {
		atomic_store(&s->slot->idle[i], SCOREBOARD_NONE);
		atomic_store(&s->slot->begun[i], SCOREBOARD_NONE);
	}
	s->log.gather = &s->slot->lines;
	s->log.lost = &s->slot->lines.lost;
	return 0;
}

bool direct_give(const struct direct_setup *setup, int connection, unsigned char listener)
{
	return fd_send(setup->give, &listener, 1, &connection, 1) == 0;
}

void direct_pass_on(const struct direct_setup *setup)
{
	struct pollfd events[1 + RUN_SOCKETS_MAX] = {{.fd = setup->take, .events = POLLIN}};

	for (size_t i = 0; i < setup->listener_count; i++)
		events[1 + i] = (struct pollfd){.fd = setup->listeners[i].fd, .events = POLLIN};
	/* What is in the socket already wakes the other workers. */
	if (poll(events, 1 + setup->listener_count, 0) <= 0 || events[0].revents != 0)
		return;
	for (size_t i = 0; i < setup->listener_count; i++)
		if (events[1 + i].revents == POLLIN) {
			fd_send(setup->give, &(unsigned char){DIRECT_LOOK}, 1, NULL, 0);
			return;
		}
}

void direct_count_lost(const struct direct_setup *setup, size_t count)
{
	if (count == 0)
		return;
	atomic_fetch_add(&setup->slot->lost, count);
	log_message(&setup->log, LEVEL_ERROR,
	    "%s: %zu connections were closed: no other worker could take them", setup->name, count);
}
