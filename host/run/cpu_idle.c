/*
 * From /proc/uptime (proc(5)), which counts the time that all processors together had nothing to do,
 * in hundredths of a second. It is read twenty times a second at most; whoever comes meanwhile gets the
 * last answer.
 *
 * It tells of the machine, not of a container's share of it. That errs on the safe side: processors
 * that are idle give their time to whoever asks, within his share.
 */
#include "run/cpu_idle.h"

#include "base/clock.h"
#include "base/fd.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY (CLOCK_SECOND / 20)
#define IDLE_SHARE 4 /* a quarter of all processors' time is idle */

struct cpu_idle {
	pthread_mutex_t lock;
	int file; /* /proc/uptime, or -1 */
	uint64_t processors;
	uint64_t looked; /* when; nanoseconds */
	uint64_t unused; /* what all processors had not used until then */
	bool is;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)clock_nanoseconds(&t);
}

static void look(struct cpu_idle *i, uint64_t t)
{
	uint64_t passed = (t - i->looked) * i->processors, unused;
	unsigned long long seconds, hundredths;
	char line[64];
	ssize_t n = pread(i->file, line, sizeof(line) - 1, 0);

	i->looked = t;
	if (n <= 0)
		return;
	line[n] = '\0';
	if (sscanf(line, "%*u.%*u %llu.%llu", &seconds, &hundredths) != 2)
		return;
	unused = seconds * CLOCK_SECOND + hundredths * (CLOCK_SECOND / 100);
	i->is = (unused - i->unused) * IDLE_SHARE >= passed;
	i->unused = unused;
}

struct cpu_idle *cpu_idle_create(void)
{
	struct cpu_idle *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return NULL;
	pthread_mutex_init(&i->lock, NULL);
	i->file = open("/proc/uptime", O_RDONLY | O_CLOEXEC);
	i->processors = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	look(i, now());
	i->is = true;
	return i;
}

bool cpu_has_idle_time(struct cpu_idle *i)
{
	uint64_t t = now();
	bool is;

	pthread_mutex_lock(&i->lock);
	if (i->file >= 0 && t - i->looked >= LOOK_EVERY)
		look(i, t);
	is = i->is;
	pthread_mutex_unlock(&i->lock);
	return is;
}

void cpu_idle_destroy(struct cpu_idle *i)
{
	if (i == NULL)
		return;
	fd_close(&i->file);
	pthread_mutex_destroy(&i->lock);
	free(i);
}
