/*
 * Each language has a pool with a lock and a channel to the template of its own. Orders to the
 * template and its answers are packets on that channel. The front makes the pipes of a process when
 * it orders it, and the answers come in the order of the orders. No thread is there only to read
 * the channel: a thread that needs a spare takes the answers that have come. If there are none, the
 * first such thread polls the channel and the others wait for that thread, all of them without the
 * lock.
 *
 * A new spare is ordered only after the reply to the request that took the last, since forking
 * competes with the request for the processors; only a request that finds no spare orders one at
 * once. For the same reason a spare is warmed only while a processor is idle: warming makes the
 * next answer faster, and costs more time than it saves.
 */
#include "run/spares.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/language.h"
#include "base/tuning.h"
#include "run/cpu_idle.h"
#include "ipc/process_handle.h"
#include "ipc/template_channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TEMPLATE_TIMEOUT_NS (20 * CLOCK_SECOND) /* for a template to answer an order */
#define TELL_WAIT_NS (CLOCK_SECOND / 10)        /* before a wait is reported */
#define POOL_MAX 256

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* signalled when a template connects or the channel was read */
	int channel;            /* -1 while there is no template */
	/* An old channel, which the thread that polls it must close; -1: none. */
	int retired;
	bool reading;           /* a thread polls the channel */
	size_t waiting;         /* threads that wait for a spare */
	unsigned long failures; /* orders that failed, ever */
	unsigned template;      /* the number of the present template; 0: there was none */
	size_t asked, count;
	struct process_handle ordered[POOL_MAX]; /* ordered and not forked yet, oldest first */
	struct process_handle stack[POOL_MAX];   /* the spares */
};

struct spares {
	int languages;
	atomic_size_t wanted; /* spares to keep, for each language */
	struct cpu_idle *idle;
	void (*waits)(void *context, int language, bool on); /* NULL: nobody wants to know */
	void *context;
	struct pool pools[LANGUAGES_MAX];
};

static int fill(struct spares *s, int language, struct error *e);
static int wait_for_spare(struct spares *s, int language, struct error *e);
static void tell_wait(const struct spares *s, int language, bool on);
static int order(const struct spares *s, struct pool *pool, struct error *e);
static int wait_at_channel(struct pool *pool, uint64_t deadline);
static bool receive_one(struct pool *pool);
static void receive_all(struct pool *pool);
static void disconnect(struct pool *pool);

struct spares *spares_create(int languages, size_t wanted)
{
	struct spares *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->idle = cpu_idle_create();
	if (s->idle == NULL) {
		free(s);
		return NULL;
	}
	s->languages = languages;
	spares_want(s, wanted);
	for (int i = 0; i < languages; i++) {
		struct pool *pool = &s->pools[i];

		pthread_mutex_init(&pool->lock, NULL);
		clock_condition_init(&pool->changed);
		pool->channel = pool->retired = -1;
	}
	return s;
}

void spares_tell_waits(
    struct spares *s, void (*waits)(void *context, int language, bool on), void *context)
{
	s->waits = waits;
	s->context = context;
}

int spares_take(struct spares *s, int language, struct process_handle *p, struct error *e)
{
	struct pool *pool = &s->pools[language];
	int result;

	pthread_mutex_lock(&pool->lock);
	result = fill(s, language, e);
	if (result == 0) {
		*p = pool->stack[--pool->count];
		p->template = pool->template;
	}
	pthread_mutex_unlock(&pool->lock);
	return result;
}

/* Make sure that the stack is not empty. With the lock held, which is released while waiting. */
static int fill(struct spares *s, int language, struct error *e)
{
	struct pool *pool = &s->pools[language];
	int result;

	receive_all(pool);
	if (pool->count > 0)
		return 0;
	pool->waiting++;
	result = wait_for_spare(s, language, e);
	pool->waiting--;
	return result;
}

static int wait_for_spare(struct spares *s, int language, struct error *e)
{
	struct pool *pool = &s->pools[language];
	uint64_t began = clock_now(), until = began + TELL_WAIT_NS;
	unsigned long failures = pool->failures;
	bool told = false;
	int result = 0;

	while (pool->count == 0 && result == 0) {
		if (pool->asked < pool->waiting && order(s, pool, e) < 0) {
			result = -1;
		} else if (wait_at_channel(pool, until) == ETIMEDOUT && pool->count == 0) {
			if (told)
				result = error_set(e, "no template process has come up");
			else
				tell_wait(s, language, true);
			told = true;
			until = began + TEMPLATE_TIMEOUT_NS;
		} else if (pool->count == 0 && pool->failures != failures) {
			result = error_set(e, "no request process could be forked");
		}
	}
	if (told)
		tell_wait(s, language, false);
	return result;
}

static void tell_wait(const struct spares *s, int language, bool on)
{
	if (s->waits != NULL)
		s->waits(s->context, language, on);
}

/*
 * 0, also if there is no template or it takes no more orders now; -1 with *e: no file descriptors.
 * A template that takes no orders may hang: no thread waits for it here.
 */
static int order(const struct spares *s, struct pool *pool, struct error *e)
{
	struct template_order message = {
	    .warm = tuning_has(TUNING_WARM) && cpu_has_idle_time(s->idle)};
	struct process_handle *p = &pool->ordered[pool->asked];
	struct process_ends ends;

	if (pool->channel < 0 || pool->asked == POOL_MAX)
		return 0;
	if (process_handle_open(p, &ends, e) < 0)
		return -1;
	pool->asked++;
	if (fd_send(pool->channel, &message, sizeof(message),
		(const int[]){ends.channel, ends.output, ends.errors}, PROCESS_ENDS) < 0) {
		if (errno == EAGAIN || errno == ETOOMANYREFS)
			process_handle_release(&pool->ordered[--pool->asked]);
		else
			disconnect(pool);
	}
	process_ends_close(&ends);
	return 0;
}

void spares_set_log(struct spares *s, int log)
{
	for (int i = 0; i < s->languages; i++) {
		pthread_mutex_lock(&s->pools[i].lock);
		if (s->pools[i].channel >= 0)
			template_set_log(s->pools[i].channel, log);
		pthread_mutex_unlock(&s->pools[i].lock);
	}
}

/* Wait until something has changed. 0 or ETIMEDOUT. */
static int wait_at_channel(struct pool *pool, uint64_t deadline)
{
	struct pollfd event = {.fd = pool->channel, .events = POLLIN};
	int n;

	if (pool->channel < 0 || pool->reading)
		return clock_wait(&pool->changed, &pool->lock, deadline);
	pool->reading = true;
	pthread_mutex_unlock(&pool->lock);
	n = poll(&event, 1, clock_left(deadline));
	pthread_mutex_lock(&pool->lock);
	pool->reading = false;
	fd_close(&pool->retired);
	receive_all(pool);
	pthread_cond_broadcast(&pool->changed);
	return n == 0 ? ETIMEDOUT : 0;
}

/* Take one answer of the template. false: there is none. */
static bool receive_one(struct pool *pool)
{
	struct template_answer answer;
	struct process_handle p;
	int fds[FD_PASS_MAX];
	ssize_t n;

	if (pool->channel < 0)
		return false;
	n = fd_receive(pool->channel, &answer, sizeof(answer), fds, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n != (ssize_t)sizeof(answer) || pool->asked == 0) {
		fd_close(&fds[0]);
		disconnect(pool);
		return false;
	}
	p = pool->ordered[0];
	memmove(&pool->ordered[0], &pool->ordered[1], --pool->asked * sizeof(p));
	p.pid = answer.pid;
	p.handle = fds[0];
	if (p.pid <= 1 || pool->count == POOL_MAX) {
		process_handle_release(&p);
		pool->failures++;
	} else {
		pool->stack[pool->count++] = p;
	}
	return true;
}

/*
 * Take all answers that have come, but not while another thread polls the channel: it would miss
 * them.
 */
static void receive_all(struct pool *pool)
{
	while (!pool->reading && receive_one(pool))
		;
}

/*
 * The template is gone, and its spares with it. If a thread polls the channel, only that thread may
 * close it: otherwise it would poll whatever descriptor gets the number next.
 */
static void disconnect(struct pool *pool)
{
	if (pool->reading && pool->channel >= 0 && pool->retired < 0) {
		shutdown(pool->channel, SHUT_RDWR);
		pool->retired = pool->channel;
		pool->channel = -1;
	}
	fd_close(&pool->channel);
	while (pool->count > 0)
		process_handle_release(&pool->stack[--pool->count]);
	while (pool->asked > 0)
		process_handle_release(&pool->ordered[--pool->asked]);
}

void spares_connect(struct spares *s, int language, int channel)
{
	struct pool *pool = &s->pools[language];
	struct error ignored;

	pthread_mutex_lock(&pool->lock);
	disconnect(pool);
	fd_set_nonblocking(channel, true);
	pool->channel = channel;
	pool->template ++;
	for (size_t n = 0; n < atomic_load(&s->wanted); n++)
		order(s, pool, &ignored);
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
}

unsigned spares_template(struct spares *s, int language)
{
	struct pool *pool = &s->pools[language];
	unsigned template;

	pthread_mutex_lock(&pool->lock);
	template = pool->template;
	pthread_mutex_unlock(&pool->lock);
	return template;
}

void spares_replace(struct spares *s, int language)
{
	struct pool *pool = &s->pools[language];
	/* The next request without a spare fails the same way and reports it. */
	struct error ignored;

	pthread_mutex_lock(&pool->lock);
	if (pool->count + pool->asked < atomic_load(&s->wanted))
		order(s, pool, &ignored);
	pthread_mutex_unlock(&pool->lock);
}

size_t spares_count(struct spares *s, int language)
{
	struct pool *pool = &s->pools[language];
	size_t count;

	pthread_mutex_lock(&pool->lock);
	receive_all(pool);
	count = pool->count;
	pthread_mutex_unlock(&pool->lock);
	return count;
}

void spares_want(struct spares *s, size_t wanted)
{
	if (!tuning_has(TUNING_SPARES))
		wanted = 0;
	atomic_store(&s->wanted, wanted < POOL_MAX ? wanted : POOL_MAX);
}

void spares_destroy(struct spares *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < s->languages; i++) {
		disconnect(&s->pools[i]);
		pthread_mutex_destroy(&s->pools[i].lock);
		pthread_cond_destroy(&s->pools[i].changed);
	}
	cpu_idle_destroy(s->idle);
	free(s);
}
