/*
 * What the front knows of its runs: those that are going on, and for each extension how many there
 * were, how long they took and what went wrong. Safe to call from any thread.
 */
#ifndef EXTHOST_STATS_H
#define EXTHOST_STATS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATS_NAME_MAX 256
#define STATS_USER_MAX 64
#define STATS_REASON_MAX 256
#define STATS_ID_SIZE 17

struct stats;
struct stats_entry;

enum stats_state { STATS_WAITS, STATS_RUNS, STATS_ENDS };

/* A run that is going on, or a request that waits for one. */
struct stats_run {
	char id[STATS_ID_SIZE];
	char extension[STATS_NAME_MAX];
	char user[STATS_USER_MAX];
	enum stats_state state;
	int pid;        /* 0 while it waits */
	uint64_t since; /* clock_now() at which the state began */
};

/* All that has ended, of one extension. */
struct stats_extension {
	char name
	    [STATS_NAME_MAX]; /* "" for what no extension answered, "*" for those beyond the table */
	uint64_t answers[6];  /* by the first digit of the status; [0] is none */
	uint64_t time, cpu;   /* sums: nanoseconds, microseconds */
	uint64_t peak;        /* the most, KiB */
	uint64_t p50, p95, p99;       /* nanoseconds, within a twelfth */
	char error[STATS_REASON_MAX]; /* the last; "" if there was none */
	int64_t error_time;           /* seconds since 1970 */
};

/* How one ended. */
struct stats_outcome {
	const char *extension; /* NULL: none */
	int status;
	uint64_t time; /* nanoseconds, of the whole request */
	uint64_t cpu, peak;
	const char *error; /* NULL: none */
};

/* NULL: no memory. */
struct stats *stats_create(void);

/* A request for an extension waits for its run. NULL: no memory; the others take that as well. */
struct stats_entry *stats_begin(
    struct stats *s, const char *id, const char *extension, const char *user);

/* It runs in this process, of which `handle` is the pidfd as long as the state is not changed. */
void stats_runs(struct stats *s, struct stats_entry *entry, int pid, int handle);

/* It is being ended, or has ended. */
void stats_ends(struct stats *s, struct stats_entry *entry);

/* It is no more. */
void stats_leave(struct stats *s, struct stats_entry *entry);

/* A request was answered, by an extension or not. */
void stats_count(struct stats *s, const struct stats_outcome *outcome);

/*
 * Where is this run? Asks its process by a signal and waits for stats_answer. 0 with the text in
 * *text; -1: there is no such run, it does not run now, or it did not say within two seconds
 * (*reason).
 */
int stats_ask(struct stats *s, const char *id, struct buffer *text, const char **reason);

/* The run has said where it is. true: somebody had asked. */
bool stats_answer(struct stats *s, struct stats_entry *entry, const char *text, size_t size);

/* Copies, for who looks in; the caller frees. NULL with *count 0: there are none. */
struct stats_run *stats_list_runs(struct stats *s, size_t *count);
struct stats_extension *stats_list_extensions(struct stats *s, size_t *count);

/* All that were answered, whatever with. */
uint64_t stats_requests(const struct stats_extension *x);

void stats_destroy(struct stats *s);

#endif
