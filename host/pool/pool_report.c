/* The report of the pools for status and metrics. */
#include "pool/app_pool.h"

#include "ipc/scoreboard.h"
#include "pool/pool_app.h"
#include "pool/pool_worker.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void add_worker(struct app_report *r, const struct app_worker_entry *w)
{
	bool turn = w->slot != NULL && atomic_load(&w->slot->turn) % 2 == 1;

	r->idle += w->state == APP_IDLE || (w->state == APP_SERVES && !turn);
	r->busy += w->state == APP_BUSY || (w->state == APP_SERVES && turn);
	if (w->slot != NULL) {
		r->requests += atomic_load(&w->slot->requests);
		r->failures += atomic_load(&w->slot->failures);
		r->lost += atomic_load(&w->slot->lost);
	}
}

struct app_report *app_pool_list(struct app_pool *p, size_t *count)
{
	struct app_report *list = NULL;
	size_t n = 0;

	pthread_mutex_lock(&p->lock);
	for (struct app *a = p->apps; a != NULL; a = a->next)
		n++;
	list = n > 0 ? calloc(n, sizeof(*list)) : NULL;
	*count = list != NULL ? n : 0;
	n = 0;
	for (struct app *a = p->apps; list != NULL && a != NULL; a = a->next) {
		struct app_report *r = &list[n++];

		snprintf(r->name, sizeof(r->name), "%s", a->name);
		snprintf(r->error, sizeof(r->error), "%s", a->error);
		r->error_time = a->error_time;
		r->loads = a->loads;
		r->serves = a->sockets != NULL;
		r->requests = a->requests;
		r->failures = a->failures_answered;
		r->lost = a->lost;
		r->loading = app_count_loading(a);
		for (struct app_worker_entry *w = a->workers; w != NULL; w = w->next) {
			add_worker(r, w);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return list;
}
