/*
 * Apps that serve sockets of their own. The front brings them nothing: it gives each worker the
 * listeners at its start, and from then on sees only what the worker shows of itself in its slot.
 *
 * All workers of such an app share a pair of sockets, through which they pass connections: one that
 * must not go on puts them in at one end, and the others take them out at the other.
 */
#include "pool/app.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "binding.h"
#include "config/config_share.h"
#include "config/option.h"
#include "ipc/scoreboard.h"
#include "net/listen.h"
#include "pool/app_pool.h"
#include "run/spares.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK 10000000     /* nanoseconds: times of files are as coarse as that */
#define A_WHILE 250000000 /* nanoseconds after which an app that did not load may be mended */

static int add_serving(struct app_pool *p, const struct config *config, size_t index,
    const struct listener *listeners, size_t count);

int app_pool_serve(
    struct app_pool *p, const struct config *config, const struct listener *listeners, size_t count)
{
	int result = 0;

	if (config->app_count == 0)
		return 0;
	pthread_mutex_lock(&p->lock);
	if (app_start_watching(p) < 0)
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
	sockets->number = (int)index + 1;
	sockets->prefix = strdup(what->prefix);
	sockets->section = strdup(what->name);
	take_listeners(sockets, (int)index + 1, listeners, count);
	if (sockets->prefix == NULL || sockets->section == NULL ||
	    socketpair(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets->exchange) < 0)
		return -1;
	if (app_take_settings(p, a, config) < 0)
		return -1;
	a->settings.limits.workers = what->workers;
	app_keep_enough(p, a);
	return 0;
}

int app_take_settings(struct app_pool *p, struct app *a, const struct config *config)
{
	const struct config_app *section = config_find_app(config, a->sockets->section);
	uint64_t workers = a->settings.limits.workers;
	struct extension_settings extension;

	(void)p;
	config_limits(config, a->name, &a->settings.limits);
	config_extension_settings(config, a->name, &extension);
	if (section != NULL)
		config_override(&section->own, &a->settings.limits, &extension);
	a->settings.limits.workers = workers;
	a->settings.debug = config->debug;
	a->settings.strict = strcmp(extension.reload, "strict") == 0;
	a->settings.rerun = strcmp(extension.mode, "rerun") == 0;
	/* Which language it is, is found out when it is started: both are kept till then. */
	return app_copy_extension_settings(&a->settings, &extension) < 0 ? -1 : 0;
}

static struct scoreboard_slot *make_slot(int *file)
{
	void *memory = MAP_FAILED;

	*file = fd_memory_file("exthost-slot");
	if (*file >= 0 && ftruncate(*file, sizeof(struct scoreboard_slot)) == 0)
		memory = mmap(NULL, sizeof(struct scoreboard_slot), PROT_READ | PROT_WRITE,
		    MAP_SHARED, *file, 0);
	return memory != MAP_FAILED ? memory : NULL;
}

int app_send_sockets(
    struct app_pool *p, const struct app *a, int channel, struct scoreboard_slot **slot)
{
	const struct app_sockets *sockets = a->sockets;
	const struct run_serve_files files = {.listeners = (uint32_t)sockets->count,
	    .is_tcp = sockets->is_tcp,
	    .trusted = sockets->trusted};
	FD_OWNED int file = -1;
	int fds[FD_PASS_MAX] = {-1, p->setup->log->fd, sockets->exchange[0], sockets->exchange[1]};
	int result = -1;

	*slot = make_slot(&file);
	if (*slot == NULL)
		return -1;
	fds[RUN_SERVE_SLOT] = file;
	for (size_t i = 0; i < sockets->count; i++)
		fds[RUN_SERVE_LISTENERS + i] = sockets->listeners[i];
	result =
	    fd_send(channel, &files, sizeof(files), fds, RUN_SERVE_LISTENERS + (int)sockets->count);
	if (result < 0) {
		munmap(*slot, sizeof(**slot));
		*slot = NULL;
	}
	return result;
}

void app_tell_stand_in(struct app_pool *p, struct app *a)
{
	bool needed = a->sockets != NULL && a->refused == a->generation;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		needed = needed && w->state != APP_SERVES;
	if (a->sockets == NULL || needed == a->sockets->stood_in)
		return;
	a->sockets->stood_in = needed;
	p->setup->stand_in(p->setup->context, a->sockets->number, needed);
}

static bool may_load_now(const struct app_pool *p, const struct app *a)
{
	struct stat status;
	int64_t changed = 0;

	if (fstatat(p->setup->root, a->name, &status, 0) == 0)
		changed = (int64_t)status.st_ctim.tv_sec * 1000000000 + status.st_ctim.tv_nsec;
	return changed > a->refused_at - TICK || clock_now() > a->refused_clock + A_WHILE;
}

bool app_pool_try_again(struct app_pool *p, int number)
{
	bool loads = false;

	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next) {
		if (a->sockets == NULL || a->sockets->number != number)
			continue;
		if (a->refused == a->generation && may_load_now(p, a)) {
			a->refused = 0;
			app_keep_enough(p, a);
			app_tell_stand_in(p, a);
		}
		loads = a->refused != a->generation;
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
				a->generation++;
				app_keep_enough(p, a);
			}
	pthread_mutex_unlock(&p->lock);
	fd_close(&fd);
}

void app_tell_log(const struct app_pool *p, const struct app_worker_entry *w)
{
	char *const none[] = {NULL};
	const struct run_order order = {.kind = RUN_ORDER_LOG,
	    .script = "",
	    .environment = (char **)none,
	    .source = -1,
	    .code = -1,
	    .body = -1,
	    .output = p->setup->log->fd};

	if (w->state == APP_SERVES)
		run_order_send(w->process.channel, &order);
}

void app_pool_reopen_log(struct app_pool *p)
{
	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next)
		for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
			app_tell_log(p, w);
	pthread_mutex_unlock(&p->lock);
	spares_set_log(p->setup->spares, p->setup->log->fd);
}

void app_resume(struct app *a)
{
	char *const none[] = {NULL};
	const struct run_order order = {.kind = RUN_ORDER_RESUME,
	    .script = "",
	    .environment = (char **)none,
	    .source = -1,
	    .code = -1,
	    .body = -1,
	    .output = -1,
	    .force = !a->settings.strict,
	    .accept = a->refused_at};

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next) {
		if (w->state != APP_SERVES || !w->stale)
			continue;
		w->stale = false;
		w->accepted = a->generation;
		run_order_send(w->process.channel, &order);
	}
}

void app_pool_stop_serving(struct app_pool *p, uint64_t deadline)
{
	pthread_mutex_lock(&p->lock);
	p->serving_ends = true;
	for (struct app *a = p->apps; a != NULL; a = a->next)
		for (struct app_worker_entry *w = a->workers; a->sockets != NULL && w != NULL;
		     w = w->next)
			if (w->state == APP_SERVES) {
				app_dismiss(w);
				w->end.due = deadline;
			} else if (w->state == APP_LOADS) {
				app_give_up(w);
			}
	pthread_mutex_unlock(&p->lock);
}
