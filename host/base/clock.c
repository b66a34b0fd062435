#include "base/clock.h"

#include <limits.h>

int64_t clock_nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * CLOCK_SECOND + t->tv_nsec;
}

uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)clock_nanoseconds(&now);
}

int64_t clock_real(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return clock_nanoseconds(&now);
}

int clock_left(uint64_t due)
{
	uint64_t now = clock_now();
	uint64_t left = due > now ? (due - now) / CLOCK_MILLISECOND + 1 : 0;

	return left < INT_MAX ? (int)left : INT_MAX;
}

void clock_condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

int clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t until)
{
	struct timespec t = {
	    .tv_sec = (time_t)(until / CLOCK_SECOND), .tv_nsec = (long)(until % CLOCK_SECOND)};

	return pthread_cond_timedwait(condition, lock, &t);
}
