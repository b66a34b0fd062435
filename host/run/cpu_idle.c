/*
 * /proc/uptime (proc(5)) counts the idle time of all processors together, in hundredths of a
 * second. It is read at most twenty times a second; calls in between return the last result.
 *
 * The file describes the machine and not a container's share of it. That error is harmless: idle
 * processors give their time to every process that asks, within its share.
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

#define SAMPLE_NS (CLOCK_SECOND / 20) /* shortest time between two samples */
#define IDLE_SHARE 4                  /* divides all processor time: a quarter must be idle */

struct cpu_idle {
	pthread_mutex_t lock;
	int file; /* /proc/uptime, or -1 */
	uint64_t processors;
	uint64_t looked; /* time of the last sample, nanoseconds */
	uint64_t unused; /* idle time of all processors at that sample, nanoseconds */
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
	if (i->file >= 0 && t - i->looked >= SAMPLE_NS)
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
