/* The files that an app is made of, as they were when it was loaded. */
#ifndef EXTHOST_APP_FILES_H
#define EXTHOST_APP_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct stat;

struct app_files {
	int folder; /* descriptor of the directory that the paths are relative to */
	struct app_file *items;
	size_t count;
};

/* Free the files; the directory's descriptor stays the caller's. */
void app_files_release(struct app_files *files);

/* The path of one of them. */
const char *app_files_path(const struct app_files *files, size_t index);

/* As app_files_add, for a file that is open, with this status. */
void app_files_add_open(struct app_files *files, const char *path, const struct stat *status,
    const struct timespec *since);

/*
 * Add a file that was read at `since` or later. If it has changed since then, it is unknown which
 * state was read, and the file counts as changed. A file that was added before stays as it is.
 */
void app_files_add(struct app_files *files, const char *path, const struct timespec *since);

/* Milliseconds until a further change of any file would show in its times; 0: it would now. */
int32_t app_files_settle(const struct app_files *files);

/* The same for one file. */
int32_t app_file_settle(const struct stat *status);

/* True if a file has changed, is gone, or has come back. */
bool app_files_changed(const struct app_files *files);

/*
 * Accept the changes up to `until` (CLOCK_REALTIME, nanoseconds): those files count as unchanged
 * from now on. Files that have changed since then still count as changed.
 */
void app_files_accept(struct app_files *files, int64_t until);

#endif
