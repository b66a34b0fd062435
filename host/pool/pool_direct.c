/*
 * Apps with direct workers. The front brings them no requests: it gives each worker the listeners
 * when the worker starts, and then sees only what the worker shows in its scoreboard slot.
 *
 * All workers of such an app share a pair of sockets for passing connections: a worker that must
 * not go on with a connection sends it into one end, and the other workers receive it from the
 * other end.
 */
#include "pool/app_pool.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "binding.h"
#include "config/config_share.h"
#include "config/option.h"
#include "ipc/scoreboard.h"
#include "net/listen.h"
#include "pool/pool_app.h"
#include "pool/pool_files.h"
#include "pool/pool_sockets.h"
#include "pool/pool_supply.h"
#include "pool/pool_watch.h"
#include "pool/pool_worker.h"
#include "run/spares.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int add_serving(struct app_pool *p, const struct config *config, size_t index,
    const struct listener *listeners, size_t count);

int app_pool_serve(
    struct app_pool *p, const struct config *config, const struct listener *listeners, size_t count)
{
	int result = 0;

	if (config->app_count == 0)
		return 0;
	pthread_mutex_lock(&p->lock);
	if (pool_watch_start(p) < 0)
		result = -1;
	for (size_t i = 0; i < config->app_count && result == 0; i++)
		result = add_serving(p, config, i, listeners, count);
	pthread_mutex_unlock(&p->lock);
	return result;
}

static void take_listeners(
    struct app_sockets *sockets, int number, const struct listener *listeners, size_t count)
{
	for (size_t i = 0; i < count && sockets->count < RUN_SOCKETS_MAX; i++) {
		if (listeners[i].app != number)
			continue;
		sockets->is_tcp |= (unsigned)(listeners[i].kind == LISTENER_TCP) << sockets->count;
		sockets->trusted |= (unsigned)listeners[i].trust_fossil << sockets->count;
		sockets->indices[sockets->count] = (int)i;
		sockets->listeners[sockets->count++] = fcntl(listeners[i].fd, F_DUPFD_CLOEXEC, 0);
	}
}

static int add_serving(struct app_pool *p, const struct config *config, size_t index,
    const struct listener *listeners, size_t count)
{
	const struct config_app *what = &config->apps[index];
	struct app_sockets *sockets = calloc(1, sizeof(*sockets));
	struct app *a = sockets != NULL ? app_add(p, what->script) : NULL;

	if (a == NULL) {
		free(sockets);
		return -1;
	}
	a->sockets = sockets;
	a->version = app_version_first(true);
	sockets->number = (int)index + 1;
	sockets->prefix = strdup(what->prefix);
	sockets->section = strdup(what->name);
	take_listeners(sockets, (int)index + 1, listeners, count);
	if (sockets->prefix == NULL || sockets->section == NULL ||
	    socketpair(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets->exchange) < 0)
		return -1;
	if (app_settings_read(&a->settings, config, a->name, sockets->section) < 0)
		return -1;
	a->settings.limits.workers = what->workers;
	supply_keep_enough(p, a);
	return 0;
}

static void try_again(struct app_pool *p, struct app *a)
{
	if (a->version.state != APP_VERSION_REFUSED)
		return;
	if (pool_files_look(p, a) ||
	    app_step(a, (struct app_version_event){.kind = APP_VERSION_ASKED}) == APP_VERSION_START)
		supply_keep_enough(p, a);
}

bool app_pool_try_again(struct app_pool *p, int number)
{
	bool loads = false;

	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next) {
		if (a->sockets == NULL || a->sockets->number != number)
			continue;
		try_again(p, a);
		loads = a->version.state != APP_VERSION_REFUSED;
	}
	pthread_mutex_unlock(&p->lock);
	return loads;
}

void app_pool_listen_again(struct app_pool *p, size_t index, int fd)
{
	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next)
		for (size_t i = 0; a->sockets != NULL && i < a->sockets->count; i++)
			if (a->sockets->indices[i] == (int)index) {
				close(a->sockets->listeners[i]);
				a->sockets->listeners[i] = fd;
				fd_set_nonblocking(fd, true);
				fd = -1;
				app_step(a, (struct app_version_event){.kind = APP_VERSION_RESET});
				supply_keep_enough(p, a);
			}
	pthread_mutex_unlock(&p->lock);
	fd_close(&fd);
}

void app_pool_reopen_log(struct app_pool *p)
{
	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next)
		for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
			sockets_send_log(p, w);
	pthread_mutex_unlock(&p->lock);
	spares_set_log(p->setup->spares, p->setup->log->fd);
}

void app_pool_stop_serving(struct app_pool *p, uint64_t deadline)
{
	pthread_mutex_lock(&p->lock);
	p->serving_ends = true;
	for (struct app *a = p->apps; a != NULL; a = a->next)
		for (struct app_worker_entry *w = a->workers; a->sockets != NULL && w != NULL;
		     w = w->next)
			if (w->state == APP_SERVES) {
				worker_dismiss(w);
				w->end.due = deadline;
			} else if (w->state == APP_LOADS) {
				worker_give_up(w);
			}
	pthread_mutex_unlock(&p->lock);
}
