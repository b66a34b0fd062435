/*
 * Statistics of the front: the runs in progress and, for each extension, how many requests there
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

/* A run in progress, or a request that waits for its run. */
struct stats_run {
	char id[STATS_ID_SIZE];
	char extension[STATS_NAME_MAX];
	char user[STATS_USER_MAX];
	enum stats_state state;
	int pid;        /* 0: it waits */
	uint64_t since; /* clock_now() when the state began */
};

/* All finished requests of one extension. */
struct stats_extension {
	/* "": requests that no extension answered; "*": extensions beyond the table. */
	char name[STATS_NAME_MAX];
	uint64_t answers[6]; /* by the first digit of the status; [0]: no status */
	/* Sums: nanoseconds, microseconds. */
	uint64_t time, cpu;
	uint64_t peak;                /* the largest of all runs, KiB */
	uint64_t p50, p95, p99;       /* nanoseconds, exact to a twelfth */
	char error[STATS_REASON_MAX]; /* the last error; "": none */
	int64_t error_time;           /* seconds since 1970 */
};

/* How a request ended. */
struct stats_outcome {
	const char *extension; /* NULL: no extension answered */
	int status;
	uint64_t time; /* of the whole request, nanoseconds */
	uint64_t cpu, peak;
	const char *error; /* NULL: none */
};

/* NULL: no memory. */
struct stats *stats_create(void);

/* A request for an extension waits for its run. NULL: no memory; all functions accept NULL. */
struct stats_entry *stats_begin(
    struct stats *s, const char *id, const char *extension, const char *user);

/* It runs in this process. `handle` is its pidfd, to be kept open until the state is changed. */
void stats_runs(struct stats *s, struct stats_entry *entry, int pid, int handle);

/* It is being ended, or has ended. */
void stats_ends(struct stats *s, struct stats_entry *entry);

/* Remove it. */
void stats_leave(struct stats *s, struct stats_entry *entry);

/* Count a request that was answered, by an extension or not. */
void stats_count(struct stats *s, const struct stats_outcome *outcome);

/*
 * Ask a run for its stack: sends a signal to its process and waits for stats_answer. 0 with the
 * text appended to *text; -1 with *reason: there is no such run, it does not run now, or its
 * process did not answer within two seconds.
 */
int stats_ask(struct stats *s, const char *id, struct buffer *text, const char **reason);

/* The run has reported its stack. true: stats_ask was waiting for it. */
bool stats_answer(struct stats *s, struct stats_entry *entry, const char *text, size_t size);

/* Snapshots for `exthost status`, which the caller frees. NULL with *count 0: there are none. */
struct stats_run *stats_list_runs(struct stats *s, size_t *count);
struct stats_extension *stats_list_extensions(struct stats *s, size_t *count);

/* The number of requests answered, with any status. */
uint64_t stats_requests(const struct stats_extension *x);

void stats_destroy(struct stats *s);

#endif
