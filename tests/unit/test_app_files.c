/*
 * Has a file that an app is made of changed? What is known of it is given by hand, so that each
 * mark by which a change is seen stands alone, and the clock can be set back.
 */
#include "base/clock.h"
#include "unit.h"

#include "worker/app_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK (10 * CLOCK_MILLISECOND) /* a file's times are as coarse as that */

/* Long after all changes here. */
static const struct timespec later = {.tv_sec = INT32_MAX};

static char *folder;
static int64_t clock_offset; /* nanoseconds */

static int64_t nanoseconds(const struct timespec *time)
{
	return time->tv_sec * CLOCK_SECOND + time->tv_nsec;
}

static struct timespec timespec_of(int64_t time)
{
	return (struct timespec){.tv_sec = time / CLOCK_SECOND, .tv_nsec = time % CLOCK_SECOND};
}

/* In the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
	int result = (int)syscall(SYS_clock_gettime, clock, time);

	if (clock == CLOCK_REALTIME)
		*time = timespec_of(nanoseconds(time) + clock_offset);
	return result;
}

/* File times are whole seconds, as on FAT, and on ext4 with inodes of 128 bytes. */
static bool whole_seconds;

/* In the place of the C library's. */
int fstatat(int directory, const char *path, struct stat *status, int flags)
{
	int result = (int)syscall(SYS_newfstatat, directory, path, status, flags);

	if (result == 0 && whole_seconds)
		status->st_mtim.tv_nsec = status->st_ctim.tv_nsec = 0;
	return result;
}

static int make_folder(void **state)
{
	(void)state;
	folder = unit_folder_make();
	clock_offset = 0;
	whole_seconds = false;
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

/*
 * An empty list of files of the directory. Its memory lives as long as the program, as it does in
 * a worker.
 */
static struct app_files *none(void)
{
	static struct app_files all[64];
	static size_t count;
	struct app_files *files = &all[count++];

	assert_in_range(count, 1, UNIT_COUNT(all));
	files->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(files->folder >= 0);
	return files;
}

static struct stat look_at(const char *name)
{
	char *path = unit_path(folder, name);
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	free(path);
	return status;
}

static void remove_file(const char *name)
{
	char *path = unit_path(folder, name);

	assert_int_equal(unlink(path), 0);
	free(path);
}

/* Touch it until the file system's clock has gone on: then its time of change is another one. */
static void change_again(const char *name)
{
	struct stat before = look_at(name), now;
	char *path = unit_path(folder, name);

	do {
		assert_int_equal(chmod(path, 0600), 0);
		assert_int_equal(chmod(path, 0644), 0);
		now = look_at(name);
	} while (nanoseconds(&now.st_ctim) == nanoseconds(&before.st_ctim));
	free(path);
}

/* A list of one file, read `after` nanoseconds after its last change (negative: before it). */
static struct app_files *one_read_after(const char *name, int64_t after)
{
	struct app_files *files = none();
	struct stat status = look_at(name);
	struct timespec since = timespec_of(nanoseconds(&status.st_ctim) + after);

	app_files_add(files, name, &since);
	return files;
}

static void a_file_that_stays_as_it_is_has_not_changed(void **state)
{
	struct app_files *files = none();
	struct stat status;

	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	status = look_at("a");
	app_files_add_open(files, "a", &status, &later);
	assert_false(app_files_changed(files));
	assert_false(app_files_changed(one_read_after("a", 3 * CLOCK_SECOND)));
	assert_false(app_files_changed(none()));
}

static void each_mark_alone_tells_a_change(void **state)
{
	struct stat real;

	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	real = look_at("a");
	for (int mark = 0; mark < 7; mark++) {
		struct app_files *files = none();
		struct stat before = real;

		switch (mark) {
		case 0: before.st_size++; break;
		case 1: before.st_ino++; break;
		case 2: before.st_dev++; break;
		case 3: before.st_mtim.tv_sec--; break;
		case 4: before.st_mtim.tv_nsec ^= 1; break;
		case 5: before.st_ctim.tv_sec--; break;
		default: before.st_ctim.tv_nsec ^= 1; break;
		}
		app_files_add_open(files, "a", &before, &later);
		if (!app_files_changed(files))
			fail_msg("mark %d", mark);
	}
}

static void a_file_written_in_place_with_its_old_size_and_time_has_changed(void **state)
{
	struct app_files *files = none();
	struct stat before;
	char *path;

	(void)state;
	unit_file_write(folder, "a", "old", 0644);
	before = look_at("a");
	app_files_add_open(files, "a", &before, &later);
	change_again("a");
	unit_file_write(folder, "a", "new", 0644);
	path = unit_path(folder, "a");
	assert_int_equal(
	    utimensat(AT_FDCWD, path, (struct timespec[]){before.st_atim, before.st_mtim}, 0), 0);
	free(path);
	assert_true(app_files_changed(files));
}

static void a_file_that_goes_has_changed(void **state)
{
	struct app_files *files;

	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	files = one_read_after("a", 3 * CLOCK_SECOND);
	remove_file("a");
	assert_true(app_files_changed(files));
}

static void a_file_that_is_missing_changes_when_it_comes(void **state)
{
	struct app_files *files = none();
	const struct timespec since = {0};

	(void)state;
	app_files_add(files, "a", &since);
	assert_false(app_files_changed(files));
	unit_file_write(folder, "a", "text", 0644);
	assert_true(app_files_changed(files));
}

static void one_of_many_is_enough(void **state)
{
	struct app_files *files = none();
	struct timespec since;
	struct stat status;

	(void)state;
	for (char name[] = "a"; name[0] <= 'e'; name[0]++)
		unit_file_write(folder, name, "text", 0644);
	status = look_at("e");
	since = timespec_of(nanoseconds(&status.st_ctim) + 3 * CLOCK_SECOND);
	for (char name[] = "a"; name[0] <= 'e'; name[0]++)
		app_files_add(files, name, &since);
	assert_int_equal(files->count, 5);
	assert_false(app_files_changed(files));
	remove_file("c");
	assert_true(app_files_changed(files));
}

static void a_file_that_has_changed_since_it_was_read_counts_as_changed(void **state)
{
	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	assert_true(app_files_changed(one_read_after("a", -CLOCK_SECOND / 2)));
	assert_true(app_files_changed(one_read_after("a", -1)));
}

/* Which state was read within a tick of a change, the times do not tell. */
static void a_file_that_was_read_within_a_tick_of_its_change_counts_as_changed(void **state)
{
	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	assert_true(app_files_changed(one_read_after("a", TICK / 2)));
	if (look_at("a").st_ctim.tv_nsec != 0)
		assert_false(app_files_changed(one_read_after("a", 2 * TICK)));
}

/* A change of the same size within the second would show in nothing. */
static void where_times_are_whole_seconds_a_file_settles_after_two(void **state)
{
	struct app_files *files;
	struct timespec second;

	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	whole_seconds = true;
	for (int after = 0; after < 4; after++) {
		second.tv_sec = look_at("a").st_ctim.tv_sec + after;
		second.tv_nsec = 1;
		files = none();
		app_files_add(files, "a", &second);
		assert_int_equal(app_files_changed(files), after < 2);
	}
}

static void a_time_of_change_that_is_yet_to_come_tells_nothing(void **state)
{
	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	clock_offset = -3600 * CLOCK_SECOND;
	assert_false(app_files_changed(one_read_after("a", -7200 * CLOCK_SECOND)));
}

static void a_file_that_is_known_stays_as_it_was_first_seen(void **state)
{
	struct app_files *files;
	struct stat status;

	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	files = one_read_after("a", 3 * CLOCK_SECOND);
	change_again("a");
	status = look_at("a");
	app_files_add_open(files, "a", &status, &later);
	app_files_add(files, "a", &(struct timespec){.tv_sec = status.st_ctim.tv_sec + 10});
	assert_int_equal(files->count, 1);
	assert_true(app_files_changed(files));
}

static void a_change_that_is_accepted_is_none_any_more(void **state)
{
	struct app_files *files;
	int64_t changed;

	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	files = one_read_after("a", 3 * CLOCK_SECOND);
	unit_file_write(folder, "a", "other text", 0644);
	assert_true(app_files_changed(files));
	changed = nanoseconds(&(struct timespec[]){look_at("a").st_ctim}[0]);
	app_files_accept(files, changed + 3 * CLOCK_SECOND);
	assert_false(app_files_changed(files));
	unit_file_write(folder, "a", "still another", 0644);
	assert_true(app_files_changed(files));
}

static void a_change_after_the_accepted_time_or_within_a_tick_of_it_stays_one(void **state)
{
	struct app_files *files;
	int64_t changed;

	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	files = one_read_after("a", 3 * CLOCK_SECOND);
	unit_file_write(folder, "a", "other text", 0644);
	changed = nanoseconds(&(struct timespec[]){look_at("a").st_ctim}[0]);
	app_files_accept(files, changed - 3 * CLOCK_SECOND);
	assert_true(app_files_changed(files));
	app_files_accept(files, changed + TICK / 2);
	assert_true(app_files_changed(files));
}

static void a_file_that_was_unsure_is_sure_when_it_is_accepted(void **state)
{
	struct app_files *files;
	struct stat status;

	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	files = one_read_after("a", -1);
	assert_true(app_files_changed(files));
	status = look_at("a");
	app_files_accept(files, nanoseconds(&status.st_ctim) + 3 * CLOCK_SECOND);
	assert_false(app_files_changed(files));
}

static void a_file_that_is_gone_is_accepted_as_gone(void **state)
{
	struct app_files *files;

	(void)state;
	unit_file_write(folder, "a", "text", 0644);
	files = one_read_after("a", 3 * CLOCK_SECOND);
	remove_file("a");
	app_files_accept(files, 0);
	assert_false(app_files_changed(files));
	unit_file_write(folder, "a", "text", 0644);
	assert_true(app_files_changed(files));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_file_that_stays_as_it_is_has_not_changed),
	    TEST(each_mark_alone_tells_a_change),
	    TEST(a_file_written_in_place_with_its_old_size_and_time_has_changed),
	    TEST(a_file_that_goes_has_changed),
	    TEST(a_file_that_is_missing_changes_when_it_comes),
	    TEST(one_of_many_is_enough),
	    TEST(a_file_that_has_changed_since_it_was_read_counts_as_changed),
	    TEST(a_file_that_was_read_within_a_tick_of_its_change_counts_as_changed),
	    TEST(where_times_are_whole_seconds_a_file_settles_after_two),
	    TEST(a_time_of_change_that_is_yet_to_come_tells_nothing),
	    TEST(a_file_that_is_known_stays_as_it_was_first_seen),
	    TEST(a_change_that_is_accepted_is_none_any_more),
	    TEST(a_change_after_the_accepted_time_or_within_a_tick_of_it_stays_one),
	    TEST(a_file_that_was_unsure_is_sure_when_it_is_accepted),
	    TEST(a_file_that_is_gone_is_accepted_as_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
