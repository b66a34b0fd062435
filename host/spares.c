/*
 * The pool is a stack for each language; orders to the template and spares from it are packets on
 * one channel. No thread of its own reads that channel: whoever needs a spare takes what has come,
 * and if none of his language is there, waits for it himself.
 *
 * A new one is ordered only after the reply to the request that took the last, since forking
 * competes with the request for the processors; only a request that finds none orders at once.
 */
#include "spares.h"

#include "error.h"
#include "fd.h"
#include "language.h"
#include "request_process.h"
#include "template.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define TEMPLATE_DEADLINE 20 /* seconds a request waits while no template is there */
#define STACK_MAX 256

struct stack {
	struct request_process processes[STACK_MAX];
	size_t count;
	size_t asked; /* ordered and not yet come */
};

struct spares {
	pthread_mutex_t lock;
	pthread_cond_t connected;
	int channel; /* -1 while there is no template */
	int languages;
	size_t wanted;
	struct stack stacks[LANGUAGES_MAX];
};

struct spares *spares_create(int languages, size_t wanted)
{
	struct spares *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->connected, NULL);
	s->channel = -1;
	s->languages = languages;
	s->wanted = wanted < STACK_MAX ? wanted : STACK_MAX;
	return s;
}

void request_process_release(struct request_process *p)
{
	fd_close(&p->channel);
	fd_close(&p->output);
	fd_close(&p->errors);
	fd_close(&p->handle);
}

/* The template is gone, and what it forked ahead with it. */
static void disconnect(struct spares *s)
{
	fd_close(&s->channel);
	for (int i = 0; i < s->languages; i++) {
		struct stack *stack = &s->stacks[i];

		while (stack->count > 0)
			request_process_release(&stack->processes[--stack->count]);
		stack->asked = 0;
	}
}

static void order(struct spares *s, int language)
{
	struct template_order message = {.language = (uint32_t)language};

	if (s->channel < 0)
		return;
	if (fd_send(s->channel, &message, sizeof(message), NULL, 0) < 0)
		disconnect(s);
	else
		s->stacks[language].asked++;
}

void spares_connect(struct spares *s, int channel, int only_language)
{
	pthread_mutex_lock(&s->lock);
	disconnect(s);
	s->channel = channel;
	for (size_t n = 0; n < s->wanted; n++)
		for (int i = 0; i < s->languages; i++)
			if (only_language < 0 || only_language == i)
				order(s, i);
	pthread_cond_broadcast(&s->connected);
	pthread_mutex_unlock(&s->lock);
}

static void release_all(int fds[FD_PASS_MAX])
{
	for (int i = 0; i < FD_PASS_MAX; i++)
		fd_close(&fds[i]);
}

/*
 * Take one packet from the template. 1: a spare came, or *failed is set; 0: none now (only with
 * MSG_DONTWAIT), or the template is gone.
 */
static int receive_one(struct spares *s, int flags, int wanted_language, bool *failed)
{
	struct request_process p;
	int fds[FD_PASS_MAX];
	ssize_t n = fd_receive(s->channel, &p, sizeof(p), fds, flags);
	struct stack *stack;

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n != (ssize_t)sizeof(p) || p.language >= (uint32_t)s->languages) {
		release_all(fds);
		disconnect(s);
		return 0;
	}
	stack = &s->stacks[p.language];
	if (stack->asked > 0)
		stack->asked--;
	if (p.pid <= 1 || fds[2] < 0 || stack->count == STACK_MAX) {
		release_all(fds);
		*failed = *failed || (int)p.language == wanted_language;
		return 1;
	}
	p.channel = fds[0];
	p.output = fds[1];
	p.errors = fds[2];
	p.handle = fds[3];
	stack->processes[stack->count++] = p;
	return 1;
}

static int wait_connected(struct spares *s)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += TEMPLATE_DEADLINE;
	while (s->channel < 0)
		if (pthread_cond_timedwait(&s->connected, &s->lock, &deadline) == ETIMEDOUT)
			return -1;
	return 0;
}

/* With the lock held: make sure that the stack is not empty. */
static int fill(struct spares *s, int language, struct error *e)
{
	struct stack *stack = &s->stacks[language];
	bool failed = false;

	while (s->channel >= 0 && receive_one(s, MSG_DONTWAIT, -1, &failed) == 1)
		;
	while (stack->count == 0) {
		if (wait_connected(s) < 0)
			return error_set(e, "no template process has come up");
		if (stack->asked == 0)
			order(s, language);
		if (s->channel >= 0 && receive_one(s, 0, language, &failed) == 1 && failed)
			return error_set(e, "no request process could be forked");
	}
	return 0;
}

int spares_take(struct spares *s, int language, struct request_process *p, struct error *e)
{
	struct stack *stack = &s->stacks[language];
	int result;

	pthread_mutex_lock(&s->lock);
	result = fill(s, language, e);
	if (result == 0)
		*p = stack->processes[--stack->count];
	pthread_mutex_unlock(&s->lock);
	return result;
}

void spares_replace(struct spares *s, int language)
{
	struct stack *stack = &s->stacks[language];

	pthread_mutex_lock(&s->lock);
	if (stack->count + stack->asked < s->wanted)
		order(s, language);
	pthread_mutex_unlock(&s->lock);
}

void spares_destroy(struct spares *s)
{
	if (s == NULL)
		return;
	disconnect(s);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->connected);
	free(s);
}
