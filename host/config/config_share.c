/* Reference counts under a lock, taken twice a request. */
#include "config/config_share.h"

#include "config/config_read.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct config_held {
	const struct config *config;
	struct config own; /* what config points to, but for the first */
	int users;         /* the share itself is one while it is the present one */
};

struct config_share {
	pthread_mutex_t lock;
	struct config_held *present;
};

struct config_share *config_share_create(const struct config *first)
{
	struct config_share *s = calloc(1, sizeof(*s));
	struct config_held *held = calloc(1, sizeof(*held));

	if (s == NULL || held == NULL) {
		free(s);
		free(held);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	held->config = first;
	held->users = 1;
	s->present = held;
	return s;
}

struct config_held *config_hold(struct config_share *s, const struct config **config)
{
	struct config_held *held;

	pthread_mutex_lock(&s->lock);
	held = s->present;
	held->users++;
	pthread_mutex_unlock(&s->lock);
	*config = held->config;
	return held;
}

void config_let_go(struct config_share *s, struct config_held *held)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --held->users == 0;
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	if (held->config == &held->own)
		config_release(&held->own);
	free(held);
}

int config_share_replace(struct config_share *s, struct config *next)
{
	struct config_held *held = calloc(1, sizeof(*held));
	struct config_held *old;

	if (held == NULL)
		return -1;
	held->own = *next;
	held->config = &held->own;
	held->users = 1;
	pthread_mutex_lock(&s->lock);
	old = s->present;
	s->present = held;
	pthread_mutex_unlock(&s->lock);
	config_let_go(s, old);
	return 0;
}
