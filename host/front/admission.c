/*
 * A connection that was accepted must be served, so the descriptors that its request will need must
 * be available before. If they are not, clients wait in the listeners' queues: the listeners stay
 * in the epoll with an empty event mask, so that no thread spins on them.
 *
 * The need is counted for the worst case, that every connection sends a request at once, and is not
 * measured: an idle connection may begin a request at any moment.
 */
#include "front/admission.h"

#include "base/error.h"
#include "config/config.h"
#include "net/listen.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * Each client wakes one thread. Without EPOLLONESHOT a client would wake all waiting threads, in a
 * chain.
 */
#define WANTED (EPOLLIN | EPOLLONESHOT)
#define LISTENERS_MAX 256 /* the first listeners, and those rebound since */
/* Epoll, listeners, channels, the log; connections of the control socket; kept code. */
#define FOR_THE_FRONT 112
#define FOR_A_SPARE 4
#define FOR_A_RUN 7 /* its process, notifications, a held reply, what the process reports */
/* In an extension's process, the host's own descriptors have numbers from 250 up: fd_dup_high(). */
#define FOR_AN_EXTENSION 282
#define FOR_A_CONNECTION 4 /* itself; a copy and the body, twice; then the script and its code */

struct admission {
	pthread_mutex_t lock;
	int epoll;
	const struct listener *_Atomic listeners[LISTENERS_MAX];
	size_t count;
	bool asleep[LISTENERS_MAX]; /* true: a listener of an app whose workers accept */
	uint64_t tag;
	size_t most, taken;
	bool paused, ended;
};

static void listen_for(struct admission *a, uint32_t events);

/* Without any connection. */
static uint64_t needed_by_front(const struct config *config, int languages)
{
	return FOR_THE_FRONT + config->concurrency * FOR_A_RUN +
	       (uint64_t)languages * config->spares * FOR_A_SPARE;
}

/* Extensions inherit the soft limit, so it is not raised further than necessary. */
int admission_check_descriptors(const struct config *config, int languages, struct error *e)
{
	uint64_t needed = needed_by_front(config, languages) + FOR_A_CONNECTION;
	struct rlimit limit;

	if (needed < FOR_AN_EXTENSION)
		needed = FOR_AN_EXTENSION;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
		return 0;
	if (limit.rlim_max < needed)
		return error_set(e,
		    "ulimit -n allows %llu file descriptors, and %llu are needed with "
		    "--concurrency %llu and --spares %llu",
		    (unsigned long long)limit.rlim_max, (unsigned long long)needed,
		    (unsigned long long)config->concurrency, (unsigned long long)config->spares);
	limit.rlim_cur = needed;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? error_errno(e, "raise ulimit -n") : 0;
}

size_t admission_most(const struct config *config, int languages)
{
	uint64_t needed = needed_by_front(config, languages);
	struct rlimit limit;
	uint64_t most;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return config->max_connections;
	if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit.rlim_max, limit.rlim_max}) == 0)
		limit.rlim_cur = limit.rlim_max;
	most = limit.rlim_cur > needed ? (limit.rlim_cur - needed) / FOR_A_CONNECTION : 0;
	if (most >= config->max_connections)
		return config->max_connections;
	return most > 0 ? (size_t)most : 1;
}

bool admission_is_full(struct admission *a)
{
	bool full;

	pthread_mutex_lock(&a->lock);
	full = a->paused && !a->ended && a->taken >= a->most;
	pthread_mutex_unlock(&a->lock);
	return full;
}

struct admission *admission_create(int epoll, uint64_t tag, size_t most)
{
	struct admission *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->epoll = epoll;
	a->tag = tag;
	a->most = most;
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

int admission_add(struct admission *a, const struct listener *l)
{
	struct epoll_event event = {.data.u64 = a->tag + a->count};
	int result = -1;

	pthread_mutex_lock(&a->lock);
	event.events = a->paused || l->app != 0 ? 0 : WANTED;
	if (a->count < LISTENERS_MAX) {
		a->asleep[a->count] = l->app != 0;
		atomic_store(&a->listeners[a->count], l);
		result = epoll_ctl(a->epoll, EPOLL_CTL_ADD, l->fd, &event);
		a->count += result == 0;
	}
	pthread_mutex_unlock(&a->lock);
	return result;
}

static int listener_descriptor(const struct admission *a, size_t index)
{
	return atomic_load(&a->listeners[index])->fd;
}

void admission_replace(struct admission *a, const struct listener *l, int fd)
{
	struct epoll_event event = {.events = 0};

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->count; i++) {
		if (atomic_load(&a->listeners[i]) != l)
			continue;
		event.events = a->paused || a->asleep[i] ? 0 : WANTED;
		event.data.u64 = a->tag + i;
		epoll_ctl(a->epoll, EPOLL_CTL_DEL, l->fd, NULL);
		dup3(fd, l->fd, O_CLOEXEC);
		epoll_ctl(a->epoll, EPOLL_CTL_ADD, l->fd, &event);
	}
	pthread_mutex_unlock(&a->lock);
}

const struct listener *admission_listener(const struct admission *a, size_t index)
{
	return atomic_load(&a->listeners[index]);
}

/* With the lock held. */
static void listen_at(struct admission *a, size_t index, uint32_t events)
{
	struct epoll_event event = {
	    .events = a->asleep[index] ? 0 : events, .data.u64 = a->tag + index};

	epoll_ctl(a->epoll, EPOLL_CTL_MOD, listener_descriptor(a, index), &event);
}

/* With the lock held. */
static void listen_for(struct admission *a, uint32_t events)
{
	for (size_t i = 0; i < a->count; i++)
		listen_at(a, i, events);
	a->paused = events == 0;
}

void admission_next(struct admission *a, size_t index, bool accepted)
{
	bool dead = !accepted && listener_is_shut_down(admission_listener(a, index));

	pthread_mutex_lock(&a->lock);
	if (dead)
		epoll_ctl(a->epoll, EPOLL_CTL_DEL, listener_descriptor(a, index), NULL);
	else if (!a->paused && !a->ended)
		listen_at(a, index, WANTED);
	pthread_mutex_unlock(&a->lock);
}

void admission_stand_in(struct admission *a, int app, bool on)
{
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->count; i++)
		if (atomic_load(&a->listeners[i])->app == app)
			a->asleep[i] = !on;
	listen_for(a, a->paused || a->ended ? 0 : WANTED);
	pthread_mutex_unlock(&a->lock);
}

static void resume(struct admission *a)
{
	if (a->paused && !a->ended && a->taken < a->most)
		listen_for(a, WANTED);
}

bool admission_take(struct admission *a)
{
	bool free_place;

	pthread_mutex_lock(&a->lock);
	free_place = a->taken < a->most && !a->ended;
	if (free_place)
		a->taken++;
	else if (!a->paused)
		listen_for(a, 0);
	pthread_mutex_unlock(&a->lock);
	return free_place;
}

void admission_give_back(struct admission *a)
{
	pthread_mutex_lock(&a->lock);
	a->taken--;
	resume(a);
	pthread_mutex_unlock(&a->lock);
}

void admission_pause(struct admission *a)
{
	pthread_mutex_lock(&a->lock);
	a->taken--;
	if (!a->paused)
		listen_for(a, 0);
	pthread_mutex_unlock(&a->lock);
}

void admission_look_again(struct admission *a)
{
	pthread_mutex_lock(&a->lock);
	resume(a);
	pthread_mutex_unlock(&a->lock);
}

void admission_end(struct admission *a)
{
	pthread_mutex_lock(&a->lock);
	a->ended = true;
	for (size_t i = 0; i < a->count; i++)
		epoll_ctl(a->epoll, EPOLL_CTL_DEL, listener_descriptor(a, i), NULL);
	pthread_mutex_unlock(&a->lock);
}
