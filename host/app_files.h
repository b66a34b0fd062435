/* The files that an app is made of, as they were when it was loaded. */
#ifndef EXTHOST_APP_FILES_H
#define EXTHOST_APP_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct stat;

struct app_files {
	struct app_file *items;
	size_t count;
	size_t noted; /* so many were looked at when a change was found */
};

/* A file that is open, as it is. */
void app_files_add_open(struct app_files *files, const char *path, const struct stat *status);

/*
 * A file that was read at `since` or later. If it has changed since then, nobody can tell which
 * state was read, and it counts as changed. One that is known already stays as it is.
 */
void app_files_add(struct app_files *files, const char *path, const struct timespec *since);

/* Has one of them changed, gone, or come back? */
bool app_files_changed(struct app_files *files);

/*
 * From now on they count as unchanged, as they were when a change was found: what has changed again
 * since then is found again.
 */
void app_files_accept(struct app_files *files);

#endif
