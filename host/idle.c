/*
 * From the first line of /proc/stat (proc(5)), which counts where the processors' time goes in
 * hundredths of a second. Reading it costs some tens of microseconds, so it is read ten times a
 * second at most; whoever comes meanwhile gets the last answer.
 *
 * It tells of the machine, not of a container's share of it. That errs on the safe side: processors
 * that are idle give their time to whoever asks, within his share.
 */
#include "idle.h"

#include "fd.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY 100000000 /* nanoseconds */
#define IDLE_SHARE 5         /* a fifth of all processors' time is idle */

struct idle {
	pthread_mutex_t lock;
	int file; /* /proc/stat, or -1 */
	uint64_t looked;
	unsigned long long spent, unused; /* at that time */
	bool is;
};

struct idle *idle_create(void)
{
	struct idle *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return NULL;
	pthread_mutex_init(&i->lock, NULL);
	i->file = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	i->is = true;
	return i;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void look(struct idle *i)
{
	char line[256];
	unsigned long long user, nice, system, idle, waiting, spent, unused;
	ssize_t n = pread(i->file, line, sizeof(line) - 1, 0);

	if (n <= 0)
		return;
	line[n] = '\0';
	if (sscanf(line, "cpu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &waiting) !=
	    5)
		return;
	unused = idle + waiting;
	spent = user + nice + system + unused;
	if (spent == i->spent)
		return;
	i->is = (unused - i->unused) * IDLE_SHARE >= spent - i->spent;
	i->spent = spent;
	i->unused = unused;
}

bool idle_is(struct idle *i)
{
	uint64_t t = now();
	bool is;

	pthread_mutex_lock(&i->lock);
	if (i->file >= 0 && t - i->looked >= LOOK_EVERY) {
		i->looked = t;
		look(i);
	}
	is = i->is;
	pthread_mutex_unlock(&i->lock);
	return is;
}

void idle_destroy(struct idle *i)
{
	if (i == NULL)
		return;
	fd_close(&i->file);
	pthread_mutex_destroy(&i->lock);
	free(i);
}
