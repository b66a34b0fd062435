/* The files that an app is made of, as they were when it was loaded. */
#ifndef EXTHOST_APP_FILES_H
#define EXTHOST_APP_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct stat;

struct app_files {
	int folder; /* descriptor of the folder beneath which they are: paths are from there */
	struct app_file *items;
	size_t count;
};

/* A file that is open, as it is. */
void app_files_add_open(struct app_files *files, const char *path, const struct stat *status);

/*
 * A file that was read at `since` or later. If it has changed since then, nobody can tell which
 * state was read, and it counts as changed. One that is known already stays as it is.
 */
void app_files_add(struct app_files *files, const char *path, const struct timespec *since);

/* Milliseconds until each of them can be told from a later state by its times; 0: they can now. */
int32_t app_files_settle(const struct app_files *files);

/* The same for one file. */
int32_t app_file_settle(const struct stat *status);

/* Has one of them changed, gone, or come back? */
bool app_files_changed(const struct app_files *files);

/*
 * Those that had changed by then (CLOCK_REALTIME, nanoseconds) count as unchanged from now on; those
 * that have changed since do not.
 */
void app_files_accept(struct app_files *files, int64_t until);

#endif
