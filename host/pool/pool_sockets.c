#include "pool/pool_sockets.h"

#include "base/fd.h"
#include "base/log.h"
#include "ipc/scoreboard.h"
#include "pool/pool_app.h"
#include "pool/pool_setup.h"
#include "pool/pool_worker.h"

#include <sys/mman.h>
#include <unistd.h>

static struct scoreboard_slot *make_slot(int *file)
{
	void *memory = MAP_FAILED;

	*file = fd_memory_file("exthost-slot");
	if (*file >= 0 && ftruncate(*file, sizeof(struct scoreboard_slot)) == 0)
		memory = mmap(NULL, sizeof(struct scoreboard_slot), PROT_READ | PROT_WRITE,
		    MAP_SHARED, *file, 0);
	return memory != MAP_FAILED ? memory : NULL;
}

int sockets_send(
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

void sockets_tell_stand_in(struct app_pool *p, struct app *a)
{
	bool needed = a->sockets != NULL && a->version.state == APP_VERSION_REFUSED;

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next)
		needed = needed && w->state != APP_SERVES;
	if (a->sockets == NULL || needed == a->sockets->stood_in)
		return;
	a->sockets->stood_in = needed;
	p->setup->stand_in(p->setup->context, a->sockets->number, needed);
}

/* Send an order that has no strings. */
static void send_order(const struct app_worker_entry *w, struct run_order order)
{
	char *none[] = {NULL};

	order.script = "";
	order.environment = none;
	order.source = order.code = order.body = -1;
	run_order_send(w->process.channel, &order);
}

void sockets_send_log(const struct app_pool *p, const struct app_worker_entry *w)
{
	if (w->state == APP_SERVES)
		send_order(
		    w, (struct run_order){.kind = RUN_ORDER_LOG, .output = p->setup->log->fd});
}

void sockets_resume_all(struct app *a)
{
	const struct run_order order = {.kind = RUN_ORDER_RESUME,
	    .output = -1,
	    .force = !a->settings.strict,
	    .accept = a->version.tried_at};

	for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next) {
		if (w->state != APP_SERVES || !w->stale)
			continue;
		w->stale = false;
		w->accepted = a->version.number;
		send_order(w, order);
	}
}
