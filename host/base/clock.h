/*
 * Clocks and waiting for them, in nanoseconds. A time without another word is of CLOCK_MONOTONIC,
 * which counts from the start of the machine and is never set.
 */
#ifndef EXTHOST_CLOCK_H
#define EXTHOST_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_SECOND INT64_C(1000000000)
#define CLOCK_MILLISECOND INT64_C(1000000)

uint64_t clock_now(void);

/* CLOCK_REALTIME: nanoseconds since 1970, as the times of files are. */
int64_t clock_real(void);

/* A struct timespec in nanoseconds. */
int64_t clock_nanoseconds(const struct timespec *t);

/* Milliseconds until clock_now() has reached `due`, for poll(2): 0 if it has, at most INT_MAX. */
int clock_left(uint64_t due);

/* A condition that clock_wait() can wait for. */
void clock_condition_init(pthread_cond_t *condition);

/*
 * Wait for the condition until clock_now() has reached `until`; the lock is held by the caller, as
 * for pthread_cond_timedwait(3). 0, or ETIMEDOUT.
 */
int clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t until);

#endif
