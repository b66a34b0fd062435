/*
 * A file is told from its later self by device, inode, size and its two times. Looking at each of
 * them before each request costs a microsecond a file; notices from the kernel would be cheaper,
 * but do not come from every file system, and come late.
 */
#include "app_files.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TICK 10000000 /* nanoseconds: times of files are as coarse as that */

struct file_state {
	bool exists;
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct app_file {
	char *path;
	bool unsure; /* it may have changed while it was read */
	struct file_state loaded;
	struct file_state noted; /* when the change was found */
};

/* status: NULL: there is no such file. */
static struct file_state state_of(const struct stat *status)
{
	if (status == NULL)
		return (struct file_state){.exists = false};
	return (struct file_state){.exists = true,
	    .device = status->st_dev,
	    .inode = status->st_ino,
	    .size = status->st_size,
	    .modified = status->st_mtim,
	    .changed = status->st_ctim};
}

static struct file_state look_at(const char *path)
{
	struct stat status;

	return state_of(stat(path, &status) == 0 ? &status : NULL);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool has_changed(const struct app_file *file)
{
	const struct file_state *loaded = &file->loaded;
	struct stat status;

	if (file->unsure)
		return true;
	if (stat(file->path, &status) < 0)
		return loaded->exists;
	return !loaded->exists || loaded->inode != status.st_ino ||
	       loaded->device != status.st_dev || loaded->size != status.st_size ||
	       !same_time(&loaded->modified, &status.st_mtim) ||
	       !same_time(&loaded->changed, &status.st_ctim);
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

void app_files_add_open(struct app_files *files, const char *path, const struct stat *status)
{
	struct app_file *file = add(files, path);

	if (file != NULL)
		file->loaded = state_of(status);
}

static int64_t nanoseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

void app_files_add(struct app_files *files, const char *path, const struct timespec *since)
{
	struct app_file *file = add(files, path);

	if (file == NULL)
		return;
	file->loaded = look_at(path);
	file->unsure = file->loaded.exists &&
		       nanoseconds(&file->loaded.changed) > nanoseconds(since) - TICK;
}

static void note_all(struct app_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		files->items[i].noted = look_at(files->items[i].path);
	files->noted = files->count;
}

bool app_files_changed(struct app_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		if (has_changed(&files->items[i])) {
			note_all(files);
			return true;
		}
	return false;
}

void app_files_accept(struct app_files *files)
{
	if (files->noted == 0)
		note_all(files);
	for (size_t i = 0; i < files->noted; i++) {
		files->items[i].loaded = files->items[i].noted;
		files->items[i].unsure = false;
	}
	files->noted = 0;
}
