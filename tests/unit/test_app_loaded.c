/* Which files an app worker takes for its app's, and what it reports of them while it loads. */
#include "worker/app_loaded.h"

#include "base/clock.h"
#include "ipc/load_order.h"
#include "ipc/run_channel.h"

#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLED_MS 20 /* longer than the clock of file times ticks */

/* The time at which an app is loaded, by CLOCK_REALTIME, in nanoseconds; 0: as it is. */
static int64_t loaded_at;

/* In the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_REALTIME && loaded_at != 0)
		*now = (struct timespec){.tv_sec = (time_t)(loaded_at / CLOCK_SECOND),
		    .tv_nsec = (long)(loaded_at % CLOCK_SECOND)};
	return result;
}

static char *folder;
static bool forks;   /* a process that the app starts reads a file as well */
static bool changes; /* the module changes after it was read, and before the host hears of it */
static int channel[2];

static int set_up(void **state)
{
	(void)state;
	folder = unit_folder_make();
	unit_file_write(folder, "app.tiny", "app", 0755);
	unit_file_write(folder, "module.tiny", "module", 0644);
	unit_file_write(folder, "later.tiny", "later", 0644);
	poll(NULL, 0, SETTLED_MS);
	changes = forks = false;
	loaded_at = 0;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel);
}

static int tear_down(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	close(channel[0]);
	close(channel[1]);
	return 0;
}

static void depend_on(struct binding_app *app, const char *name)
{
	char *path = unit_path(folder, name);

	binding_depends(app, path);
	free(path);
}

static int load(struct binding_app *app)
{
	pid_t pid = forks ? fork() : -1;

	if (pid == 0) {
		depend_on(app, "later.tiny");
		_exit(0);
	}
	if (pid > 0)
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	if (changes)
		unit_file_write(folder, "module.tiny", "mended", 0644);
	depend_on(app, "module.tiny");
	binding_depends(app, "/etc/passwd");
	return 0;
}

static int read_later(struct binding_app *app, struct binding_call *call)
{
	(void)call;
	depend_on(app, "later.tiny");
	return 0;
}

static const struct binding tiny = {.name = "tiny", .load = load, .answer = read_later};

/*
 * Load the app in a child, as a worker does, which takes over descriptors and environment; *check
 * is called there. Its result is the child's exit status.
 */
static int load_and(int (*check)(struct app_loaded *a))
{
	char *script = unit_path(folder, "app.tiny");
	struct run_channel lower = {.socket = channel[1]};
	struct binding_run run = {.script = script, .channel = &lower, .code = -1};
	const struct load_order order = {
	    .root = folder, .cpu = UINT64_MAX, .max_requests = UINT64_MAX, .max_rss = UINT64_MAX};
	struct app_loaded a;
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		lower.owner = getpid();
		run.source = open(script, O_RDONLY | O_CLOEXEC);
		app_load(&a, &tiny, &run, &order);
		_exit(check(&a));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	free(script);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int has_changed(struct app_loaded *a)
{
	return app_files_changed(&a->files);
}

static void files_that_stay_as_they_were_loaded_have_not_changed(void **state)
{
	(void)state;
	assert_int_equal(load_and(has_changed), 0);
}

static void a_module_that_changes_while_the_app_loads_is_seen_afterwards(void **state)
{
	(void)state;
	changes = true;
	assert_int_equal(load_and(has_changed), 1);
}

static int touch_script(struct app_loaded *a)
{
	unit_file_write(folder, "app.tiny", "APP", 0755);
	return app_files_changed(&a->files);
}

static void the_script_itself_counts(void **state)
{
	(void)state;
	assert_int_equal(load_and(touch_script), 1);
}

static int64_t changed_at(const char *name)
{
	char *path = unit_path(folder, name);
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	free(path);
	return clock_nanoseconds(&status.st_ctim);
}

/* Within a tick of its change its times could not show another change. */
static void a_script_that_has_just_changed_when_it_is_loaded_counts_as_changed(void **state)
{
	(void)state;
	loaded_at = changed_at("app.tiny") + CLOCK_MILLISECOND;
	assert_int_equal(load_and(has_changed), 1);
	loaded_at = changed_at("later.tiny") + 10 * CLOCK_SECOND;
	assert_int_equal(load_and(has_changed), 0);
}

static int load_later(struct app_loaded *a)
{
	depend_on(&a->app, "later.tiny");
	return (int)a->files.count;
}

static void files_are_reported_while_the_app_loads_and_not_later(void **state)
{
	struct run_report report;
	int descriptor;

	(void)state;
	/* The script, the module, and a file that a request has loaded. */
	assert_int_equal(load_and(load_later), 3);
	assert_int_equal(run_report_receive(channel[0], &report, &descriptor), 1);
	assert_int_equal(report.type, RUN_FILE);
	assert_string_equal(report.text, "module.tiny");
	assert_int_equal(run_report_receive(channel[0], &report, &descriptor), -1);
}

static void files_that_another_process_of_the_app_reads_are_not_reported(void **state)
{
	struct run_report report;
	int descriptor;

	(void)state;
	forks = true;
	assert_int_equal(load_and(has_changed), 0);
	assert_int_equal(run_report_receive(channel[0], &report, &descriptor), 1);
	assert_string_equal(report.text, "module.tiny");
}

/* It has changed since the app was loaded, and not since the request began. */
static int answer_with_a_new_file(struct app_loaded *a)
{
	unit_file_write(folder, "later.tiny", "new", 0644);
	poll(NULL, 0, SETTLED_MS);
	app_answer(a, &(struct binding_call){0});
	return app_files_changed(&a->files);
}

static void a_file_that_a_request_loads_is_compared_from_that_request_on(void **state)
{
	(void)state;
	assert_int_equal(load_and(answer_with_a_new_file), 0);
}

static bool retires(struct app_loaded *a)
{
	return (app_answer(a, &(struct binding_call){0}) & BINDING_RETIRE) != 0;
}

/* Which of the first three requests is the last one of the worker; 0: none. */
static int last_request(struct app_loaded *a)
{
	for (int i = 1; i <= 3; i++)
		if (retires(a))
			return i;
	return 0;
}

static int with_two_requests(struct app_loaded *a)
{
	a->left = 2;
	return last_request(a);
}

static int too_large(struct app_loaded *a)
{
	a->max_rss = 1;
	return last_request(a);
}

static int with_fewer_descriptors(struct app_loaded *a)
{
	const struct rlimit limit = {a->descriptors - 1, a->descriptors};

	return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? last_request(a) : -1;
}

static void a_worker_retires_after_its_requests_or_when_it_is_too_large(void **state)
{
	(void)state;
	assert_int_equal(load_and(last_request), 0);
	assert_int_equal(load_and(with_two_requests), 2);
	assert_int_equal(load_and(too_large), 1);
	assert_int_equal(load_and(with_fewer_descriptors), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(files_that_stay_as_they_were_loaded_have_not_changed),
	    TEST(a_module_that_changes_while_the_app_loads_is_seen_afterwards),
	    TEST(the_script_itself_counts),
	    TEST(a_script_that_has_just_changed_when_it_is_loaded_counts_as_changed),
	    TEST(files_are_reported_while_the_app_loads_and_not_later),
	    TEST(files_that_another_process_of_the_app_reads_are_not_reported),
	    TEST(a_file_that_a_request_loads_is_compared_from_that_request_on),
	    TEST(a_worker_retires_after_its_requests_or_when_it_is_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
