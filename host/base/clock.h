/*
 * Clocks, and waiting until a time, in nanoseconds. A time is on CLOCK_MONOTONIC, which counts from
 * boot and is never set, unless its comment names CLOCK_REALTIME.
 */
#ifndef EXTHOST_CLOCK_H
#define EXTHOST_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_SECOND INT64_C(1000000000)
#define CLOCK_MILLISECOND INT64_C(1000000)

uint64_t clock_now(void);

/* CLOCK_REALTIME: nanoseconds since 1970, the clock of file times. */
int64_t clock_real(void);

/* A struct timespec in nanoseconds. */
int64_t clock_nanoseconds(const struct timespec *t);

/* Milliseconds until clock_now() reaches `due`, for poll(2): 0 if it has, at most INT_MAX. */
int clock_left(uint64_t due);

/* Initialize a condition for clock_wait(). */
void clock_condition_init(pthread_cond_t *condition);

/*
 * Wait for the condition until clock_now() reaches `until`. The caller holds the lock, as for
 * pthread_cond_timedwait(3). 0, or ETIMEDOUT.
 */
int clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t until);

#endif
