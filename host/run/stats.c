/*
 * One lock for everything: it is held for some hundred nanoseconds twice a request, and a request
 * takes a millisecond.
 *
 * The times of requests are kept as a histogram with eight classes in each doubling of
 * microseconds. A percentile is then exact to a twelfth, and an extension needs a kilobyte for any
 * number of requests.
 */
#include "run/stats.h"

#include "base/clock.h"
#include "ipc/run_channel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXTENSIONS_MAX 1024
#define STEPS 8     /* classes in each doubling */
#define CLASSES 288 /* up to 2 to the 36th microseconds, which is 19 hours */
#define STACK_TIMEOUT_NS (2 * CLOCK_SECOND)

struct stats_entry {
	struct stats_run run;
	int handle;
	bool asked, answered;
	struct buffer stack;
	int users; /* references: the run itself, and threads that ask for its stack */
	struct stats_entry *next;
};

struct extension {
	struct stats_extension sum;
	uint32_t classes[CLASSES];
};

struct stats {
	pthread_mutex_t lock;
	pthread_cond_t told; /* signalled when a run has reported its stack, or has ended */
	struct stats_entry *runs;
	struct extension *extensions[EXTENSIONS_MAX];
	size_t count;
};

struct stats *stats_create(void)
{
	struct stats *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	clock_condition_init(&s->told);
	return s;
}

/* Runs in progress. */

struct stats_entry *stats_begin(
    struct stats *s, const char *id, const char *extension, const char *user)
{
	struct stats_entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	snprintf(entry->run.id, sizeof(entry->run.id), "%s", id);
	snprintf(entry->run.extension, sizeof(entry->run.extension), "%s", extension);
	snprintf(entry->run.user, sizeof(entry->run.user), "%s", user);
	entry->run.since = clock_now();
	entry->handle = -1;
	entry->users = 1;
	pthread_mutex_lock(&s->lock);
	entry->next = s->runs;
	s->runs = entry;
	pthread_mutex_unlock(&s->lock);
	return entry;
}

static void set_state(
    struct stats *s, struct stats_entry *entry, enum stats_state state, int handle)
{
	if (entry->run.state != state)
		entry->run.since = clock_now();
	entry->run.state = state;
	entry->handle = handle;
	if (handle < 0)
		pthread_cond_broadcast(&s->told);
}

void stats_runs(struct stats *s, struct stats_entry *entry, int pid, int handle)
{
	if (entry == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	entry->run.pid = pid;
	set_state(s, entry, STATS_RUNS, handle);
	pthread_mutex_unlock(&s->lock);
}

void stats_ends(struct stats *s, struct stats_entry *entry)
{
	if (entry == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	set_state(s, entry, STATS_ENDS, -1);
	pthread_mutex_unlock(&s->lock);
}

/* With the lock held. */
static void release(struct stats_entry *entry)
{
	if (--entry->users > 0)
		return;
	buffer_release(&entry->stack);
	free(entry);
}

void stats_leave(struct stats *s, struct stats_entry *entry)
{
	struct stats_entry **place;

	if (entry == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	for (place = &s->runs; *place != entry;)
		place = &(*place)->next;
	*place = entry->next;
	set_state(s, entry, STATS_ENDS, -1);
	release(entry);
	pthread_mutex_unlock(&s->lock);
}

struct stats_run *stats_list_runs(struct stats *s, size_t *count)
{
	struct stats_run *list = NULL;
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	for (const struct stats_entry *entry = s->runs; entry != NULL; entry = entry->next)
		n++;
	if (n > 0)
		list = calloc(n, sizeof(*list));
	/* The list has the youngest run first, the snapshot the oldest. */
	*count = list != NULL ? n : 0;
	for (const struct stats_entry *entry = s->runs; list != NULL && n > 0; entry = entry->next)
		list[--n] = entry->run;
	pthread_mutex_unlock(&s->lock);
	return list;
}

static struct stats_entry *find_run(struct stats *s, const char *id)
{
	struct stats_entry *entry = s->runs;

	while (entry != NULL && strcmp(entry->run.id, id) != 0)
		entry = entry->next;
	return entry;
}

static int wait_for_stack(struct stats *s, struct stats_entry *entry, const char **reason)
{
	uint64_t deadline = clock_now() + STACK_TIMEOUT_NS;
	int late = 0;

	entry->asked = true;
	entry->answered = false;
	entry->stack.size = 0;
	syscall(SYS_pidfd_send_signal, entry->handle, RUN_STACK_SIGNAL, NULL, 0);
	while (!entry->answered && entry->run.state == STATS_RUNS && late == 0)
		late = clock_wait(&s->told, &s->lock, deadline);
	entry->asked = false;
	if (entry->answered)
		return 0;
	*reason =
	    late != 0 ? "it does not say: it waits, or is in a library in C" : "it has just ended";
	return -1;
}

int stats_ask(struct stats *s, const char *id, struct buffer *text, const char **reason)
{
	struct stats_entry *entry;
	int result = -1;

	pthread_mutex_lock(&s->lock);
	entry = find_run(s, id);
	if (entry == NULL) {
		*reason = "no such run";
	} else if (entry->run.state != STATS_RUNS) {
		*reason =
		    entry->run.state == STATS_WAITS ? "it waits for its turn" : "it has just ended";
	} else if (entry->asked) {
		*reason = "somebody else is asking it";
	} else {
		entry->users++;
		result = wait_for_stack(s, entry, reason);
		if (result == 0)
			result = buffer_append(text, entry->stack.data, entry->stack.size);
		release(entry);
	}
	pthread_mutex_unlock(&s->lock);
	return result;
}

bool stats_answer(struct stats *s, struct stats_entry *entry, const char *text, size_t size)
{
	bool asked;

	if (entry == NULL)
		return false;
	pthread_mutex_lock(&s->lock);
	asked = entry->asked;
	if (asked && buffer_append(&entry->stack, text, size) == 0) {
		entry->answered = true;
		pthread_cond_broadcast(&s->told);
	}
	pthread_mutex_unlock(&s->lock);
	return asked;
}

/* Finished requests. */

/* A longer name is cut: two extensions whose names are alike up to there share an entry. */
static struct extension *find_extension(struct stats *s, const char *name)
{
	struct extension *found;

	for (size_t i = 0; i < s->count; i++)
		if (strncmp(s->extensions[i]->sum.name, name, STATS_NAME_MAX - 1) == 0)
			return s->extensions[i];
	if (s->count == EXTENSIONS_MAX)
		return s->extensions[EXTENSIONS_MAX - 1];
	if (s->count == EXTENSIONS_MAX - 1)
		name = "*";
	found = calloc(1, sizeof(*found));
	if (found == NULL)
		return NULL;
	snprintf(found->sum.name, sizeof(found->sum.name), "%s", name);
	s->extensions[s->count++] = found;
	return found;
}

static unsigned class_of(uint64_t nanoseconds)
{
	uint64_t n = nanoseconds / 1000;
	unsigned doubling = 0;

	if (n < STEPS)
		return (unsigned)n;
	while (n >> doubling >= 2 * STEPS)
		doubling++;
	n = (doubling + 1) * STEPS + (n >> doubling) - STEPS;
	return n < CLASSES ? (unsigned)n : CLASSES - 1;
}

/* The middle of a class, in nanoseconds. */
static uint64_t class_time(unsigned class)
{
	unsigned doubling = class / STEPS;
	uint64_t from = class, width = 1;

	if (doubling > 0) {
		from = (uint64_t)(STEPS + class % STEPS) << (doubling - 1);
		width = (uint64_t)1 << (doubling - 1);
	}
	return from * 1000 + width * 500;
}

static uint64_t percentile(const struct extension *x, unsigned percent)
{
	uint64_t total = 0, passed = 0;

	for (unsigned i = 0; i < CLASSES; i++)
		total += x->classes[i];
	for (unsigned i = 0; i < CLASSES && total > 0; i++) {
		passed += x->classes[i];
		if (passed * 100 >= total * percent)
			return class_time(i);
	}
	return 0;
}

void stats_count(struct stats *s, const struct stats_outcome *outcome)
{
	unsigned digit =
	    outcome->status >= 100 && outcome->status < 600 ? (unsigned)outcome->status / 100 : 0;
	struct extension *x;

	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	x = find_extension(s, outcome->extension != NULL ? outcome->extension : "");
	if (x != NULL) {
		x->sum.answers[digit]++;
		x->sum.time += outcome->time;
		x->sum.cpu += outcome->cpu;
		if (outcome->peak > x->sum.peak)
			x->sum.peak = outcome->peak;
		x->classes[class_of(outcome->time)]++;
		if (outcome->error != NULL) {
			snprintf(x->sum.error, sizeof(x->sum.error), "%s", outcome->error);
			x->sum.error_time = time(NULL);
		}
	}
	pthread_mutex_unlock(&s->lock);
}

struct stats_extension *stats_list_extensions(struct stats *s, size_t *count)
{
	struct stats_extension *list = NULL;

	pthread_mutex_lock(&s->lock);
	if (s->count > 0)
		list = calloc(s->count, sizeof(*list));
	*count = list != NULL ? s->count : 0;
	for (size_t i = 0; i < *count; i++) {
		list[i] = s->extensions[i]->sum;
		list[i].p50 = percentile(s->extensions[i], 50);
		list[i].p95 = percentile(s->extensions[i], 95);
		list[i].p99 = percentile(s->extensions[i], 99);
	}
	pthread_mutex_unlock(&s->lock);
	return list;
}

uint64_t stats_requests(const struct stats_extension *x)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(x->answers) / sizeof(x->answers[0]); i++)
		sum += x->answers[i];
	return sum;
}

void stats_destroy(struct stats *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		free(s->extensions[i]);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->told);
	free(s);
}
