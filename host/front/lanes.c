/*
 * A lane exists while a request runs or waits in it, so there are never more lanes than requests,
 * and a list is enough. Waiting requests are in a second list, in the order they came, each with a
 * condition of its own: a run that ends wakes exactly the requests that may go.
 */
#include "front/lanes.h"

#include "base/clock.h"
#include "base/language.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CLIENT_CHECK_NS (CLOCK_SECOND / 4) /* while a request waits: is its client gone? */

struct lane {
	char *extension;
	int language;
	uint64_t limit; /* as the last request had it */
	size_t running, waiting;
	struct lane *next;
};

struct waiter {
	struct lane *lane;
	pthread_cond_t go;
	bool may_go;
	struct waiter *next;
};

struct lanes {
	pthread_mutex_t lock;
	size_t waiting;
	size_t running[LANGUAGES_MAX];
	size_t without[LANGUAGES_MAX]; /* runs, of those, that wait for their process */
	uint64_t concurrency;          /* as the last request had it */
	struct lane *first;
	struct waiter *queue;
};

static struct lane *find(struct lanes *l, const char *extension, int language);
static bool has_room(const struct lanes *l, int language);
static enum lanes_verdict enter(
    struct lanes *l, struct lane *lane, const struct lanes_limits *limits, int client);
static enum lanes_verdict wait_in_queue(
    struct lanes *l, struct lane *lane, const struct lanes_limits *limits, int client);
static void wake(struct lanes *l);
static void forget_if_empty(struct lanes *l, struct lane *lane);

struct lanes *lanes_create(void)
{
	struct lanes *l = calloc(1, sizeof(*l));

	if (l != NULL)
		pthread_mutex_init(&l->lock, NULL);
	return l;
}

enum lanes_verdict lanes_enter(struct lanes *l, const char *extension,
    const struct lanes_limits *limits, int client, struct lane **lane)
{
	enum lanes_verdict verdict = LANES_FULL;

	pthread_mutex_lock(&l->lock);
	*lane = find(l, extension, limits->language);
	if (*lane != NULL)
		verdict = enter(l, *lane, limits, client);
	if (verdict != LANES_GO)
		*lane = NULL;
	pthread_mutex_unlock(&l->lock);
	return verdict;
}

static enum lanes_verdict enter(
    struct lanes *l, struct lane *lane, const struct lanes_limits *limits, int client)
{
	/* A reload may have raised a limit: requests that wait already go first. */
	lane->limit = limits->lane;
	l->concurrency = limits->concurrency;
	wake(l);
	if (has_room(l, lane->language) && lane->running < limits->lane && lane->waiting == 0) {
		/* A request that waits although there is room waits for another lane. */
		lane->running++;
		l->running[lane->language]++;
		return LANES_GO;
	}
	if (l->waiting < limits->queue)
		return wait_in_queue(l, lane, limits, client);
	forget_if_empty(l, lane);
	return LANES_FULL;
}

/* Room for one more run of this language, among the runs that have a process. */
static bool has_room(const struct lanes *l, int language)
{
	size_t used = 0;

	for (int i = 0; i < LANGUAGES_MAX; i++)
		if (l->running[i] > l->without[i])
			used += l->running[i] - l->without[i];
	return used < l->concurrency && l->running[language] < l->concurrency;
}

/* An extension that has changed its language has two lanes until the old runs have ended. */
static struct lane *find(struct lanes *l, const char *extension, int language)
{
	struct lane *lane = l->first;

	while (
	    lane != NULL && (lane->language != language || strcmp(lane->extension, extension) != 0))
		lane = lane->next;
	if (lane != NULL)
		return lane;
	lane = calloc(1, sizeof(*lane));
	if (lane == NULL)
		return NULL;
	lane->extension = strdup(extension);
	if (lane->extension == NULL) {
		free(lane);
		return NULL;
	}
	lane->language = language;
	lane->next = l->first;
	l->first = lane;
	return lane;
}

static void put_last(struct lanes *l, struct waiter *w)
{
	struct waiter **place = &l->queue;

	while (*place != NULL)
		place = &(*place)->next;
	*place = w;
	l->waiting++;
	w->lane->waiting++;
}

static void take_out(struct lanes *l, struct waiter **place)
{
	struct waiter *w = *place;

	*place = w->next;
	l->waiting--;
	w->lane->waiting--;
}

/* A client that waits for its reply sends nothing, so any event on its connection is its end. */
static bool is_gone(int client)
{
	struct pollfd event = {.fd = client, .events = 0};

	return client >= 0 && poll(&event, 1, 0) > 0;
}

static enum lanes_verdict wait_in_queue(
    struct lanes *l, struct lane *lane, const struct lanes_limits *limits, int client)
{
	struct waiter self = {.lane = lane};
	uint64_t deadline = clock_now() + limits->timeout;
	enum lanes_verdict verdict = LANES_GO;
	struct waiter **place;

	clock_condition_init(&self.go);
	put_last(l, &self);
	while (!self.may_go && verdict == LANES_GO) {
		uint64_t now = clock_now();
		uint64_t until =
		    now + CLIENT_CHECK_NS < deadline ? now + CLIENT_CHECK_NS : deadline;

		if (now >= deadline)
			verdict = LANES_LATE;
		else if (is_gone(client))
			verdict = LANES_GONE;
		else
			clock_wait(&self.go, &l->lock, until);
	}
	pthread_cond_destroy(&self.go);
	if (self.may_go)
		return LANES_GO;
	for (place = &l->queue; *place != &self;)
		place = &(*place)->next;
	take_out(l, place);
	forget_if_empty(l, lane);
	return verdict;
}

/* Count requests as running before they wake, so that no other takes their place. */
static void wake(struct lanes *l)
{
	struct waiter **place = &l->queue;

	while (*place != NULL) {
		struct waiter *w = *place;

		if (w->lane->running >= w->lane->limit || !has_room(l, w->lane->language)) {
			place = &w->next;
			continue;
		}
		take_out(l, place);
		w->lane->running++;
		l->running[w->lane->language]++;
		w->may_go = true;
		pthread_cond_signal(&w->go);
	}
}

void lanes_leave(struct lanes *l, struct lane *lane, uint64_t concurrency)
{
	pthread_mutex_lock(&l->lock);
	lane->running--;
	l->running[lane->language]--;
	l->concurrency = concurrency;
	wake(l);
	forget_if_empty(l, lane);
	pthread_mutex_unlock(&l->lock);
}

void lanes_process_waits(struct lanes *l, int language, bool waits)
{
	pthread_mutex_lock(&l->lock);
	if (waits)
		l->without[language]++;
	else
		l->without[language]--;
	wake(l);
	pthread_mutex_unlock(&l->lock);
}

static void forget_if_empty(struct lanes *l, struct lane *lane)
{
	struct lane **place = &l->first;

	if (lane->running > 0 || lane->waiting > 0)
		return;
	while (*place != lane)
		place = &(*place)->next;
	*place = lane->next;
	free(lane->extension);
	free(lane);
}

void lanes_count(struct lanes *l, size_t *running, size_t *waiting)
{
	pthread_mutex_lock(&l->lock);
	*running = 0;
	for (int i = 0; i < LANGUAGES_MAX; i++)
		*running += l->running[i];
	*waiting = l->waiting;
	pthread_mutex_unlock(&l->lock);
}

void lanes_destroy(struct lanes *l)
{
	if (l == NULL)
		return;
	while (l->first != NULL) {
		struct lane *lane = l->first;

		l->first = lane->next;
		free(lane->extension);
		free(lane);
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
}
