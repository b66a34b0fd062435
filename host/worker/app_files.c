/*
 * A file counts as changed when its device, inode, size, mtime or ctime differ. Checking that
 * before each request costs a microsecond a file. Notifications from the kernel would be cheaper,
 * but not every file system sends them, and they come late.
 */
#include "worker/app_files.h"

#include "base/clock.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TICK_NS (10 * CLOCK_MILLISECOND) /* resolution of file times */
/* The same where file times seem to be whole seconds. */
#define COARSE_TICK_NS (2000LL * CLOCK_MILLISECOND)

struct app_file {
	char *path;
	bool exists;
	bool unsure; /* the file may have changed while it was read */
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

static void take_status(struct app_file *file, const struct stat *status)
{
	file->exists = status != NULL;
	file->unsure = false;
	if (status == NULL)
		return;
	file->device = status->st_dev;
	file->inode = status->st_ino;
	file->size = status->st_size;
	file->modified = status->st_mtim;
	file->changed = status->st_ctim;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool has_changed(int folder, const struct app_file *file)
{
	struct stat status;

	if (file->unsure)
		return true;
	if (fstatat(folder, file->path, &status, 0) < 0)
		return file->exists;
	return !file->exists || file->inode != status.st_ino || file->device != status.st_dev ||
	       file->size != status.st_size || !same_time(&file->modified, &status.st_mtim) ||
	       !same_time(&file->changed, &status.st_ctim);
}

static struct app_file *add(struct app_files *files, const char *path)
{
	struct app_file *items;

	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->items[i].path, path) == 0)
			return NULL;
	items = realloc(files->items, (files->count + 1) * sizeof(*items));
	if (items == NULL)
		return NULL;
	files->items = items;
	items[files->count] = (struct app_file){.path = strdup(path)};
	return items[files->count].path != NULL ? &items[files->count++] : NULL;
}

void app_files_release(struct app_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->items[i].path);
	free(files->items);
	files->items = NULL;
	files->count = 0;
}

const char *app_files_path(const struct app_files *files, size_t index)
{
	return files->items[index].path;
}

static int64_t tick_of(const struct timespec *changed)
{
	return changed->tv_nsec == 0 ? COARSE_TICK_NS : TICK_NS;
}

/*
 * True if the change may be later. A time in the future proves nothing: the clock has been set back
 * since.
 */
static bool is_later(const struct timespec *changed, int64_t than)
{
	return clock_nanoseconds(changed) > than - tick_of(changed) &&
	       clock_nanoseconds(changed) <= clock_real() + TICK_NS;
}

int32_t app_file_settle(const struct stat *status)
{
	int64_t left =
	    clock_nanoseconds(&status->st_ctim) + tick_of(&status->st_ctim) - clock_real();

	if (left <= 0 || left > tick_of(&status->st_ctim) + TICK_NS)
		return 0;
	return (int32_t)((left + CLOCK_MILLISECOND - 1) / CLOCK_MILLISECOND);
}

int32_t app_files_settle(const struct app_files *files)
{
	struct stat status;
	int32_t most = 0;

	for (size_t i = 0; i < files->count; i++) {
		int32_t settle = fstatat(files->folder, files->items[i].path, &status, 0) == 0
				     ? app_file_settle(&status)
				     : 0;

		if (settle > most)
			most = settle;
	}
	return most;
}

void app_files_add_open(struct app_files *files, const char *path, const struct stat *status,
    const struct timespec *since)
{
	struct app_file *file = add(files, path);

	if (file == NULL)
		return;
	take_status(file, status);
	file->unsure = file->exists && is_later(&file->changed, clock_nanoseconds(since));
}

void app_files_add(struct app_files *files, const char *path, const struct timespec *since)
{
	struct stat status;
	bool exists = fstatat(files->folder, path, &status, 0) == 0;

	app_files_add_open(files, path, exists ? &status : NULL, since);
}

bool app_files_changed(const struct app_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		if (has_changed(files->folder, &files->items[i]))
			return true;
	return false;
}

void app_files_accept(struct app_files *files, int64_t until)
{
	struct stat status;

	for (size_t i = 0; i < files->count; i++) {
		struct app_file *file = &files->items[i];

		if (fstatat(files->folder, file->path, &status, 0) < 0)
			take_status(file, NULL);
		else if (!is_later(&status.st_ctim, until))
			take_status(file, &status);
	}
}
