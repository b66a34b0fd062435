/*
 * Whose turn it is among an app's workers, when one is started and when one has to go. The
 * template, and what it forks, is played here; requests are threads; the clock can be set on.
 */
#include "base/clock.h"
#include "unit.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "binding.h"
#include "config/config.h"
#include "ipc/run_channel.h"
#include "ipc/scoreboard.h"
#include "pool/app_pool.h"
#include "pool/app_settings.h"
#include "pool/pool_app.h"
#include "pool/pool_sockets.h"
#include "pool/pool_supply.h"
#include "pool/pool_watch.h"
#include "pool/pool_worker.h"
#include "request/exchange.h"
#include "request/script.h"
#include "run/run_state.h"
#include "run/spares.h"
#include "worker/app_files.h"
#include "ipc/template_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 10000 /* milliseconds */

static atomic_int clock_offset;    /* seconds */
static atomic_ullong clock_stands; /* at this; 0: it goes on */

/* In the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_MONOTONIC)
		now->tv_sec += atomic_load(&clock_offset);
	if (clock == CLOCK_MONOTONIC && atomic_load(&clock_stands) != 0)
		*now =
		    (struct timespec){.tv_sec = (time_t)(atomic_load(&clock_stands) / CLOCK_SECOND),
			.tv_nsec = (long)(atomic_load(&clock_stands) % CLOCK_SECOND)};
	return result;
}

static const char *const suffixes[] = {".tiny", NULL};
static const char *const programs[] = {"tiny", NULL};
static const struct binding tiny = {.name = "tiny", .suffixes = suffixes, .programs = programs};
static const struct binding *const bindings[] = {&tiny, NULL};

static struct {
	char *folder;
	struct log log;
	struct app_pool_setup setup;
	struct app_pool *pool;
	int template;
	struct config config;
	struct exchange x;
	int stood_in; /* last call of stand_in: 1 on, 0 off */
} t;

/*
 * The pools of earlier tests are not freed: the thread that watches them lives as long as the
 * program.
 */
static struct {
	struct app_pool_setup setups[64];
	struct log logs[64];
	struct app_pool *pools[64];
	size_t count;
} before;

static void stand_in(void *context, int app, bool on)
{
	(void)context;
	(void)app;
	t.stood_in = on;
}

static int begin(void **state)
{
	int ends[2];

	(void)state;
	memset(&t, 0, sizeof(t));
	atomic_store(&clock_offset, 0);
	t.folder = unit_folder_make();
	unit_file_write(t.folder, "app.tiny", "#!/usr/bin/tiny\n", 0755);
	t.log = (struct log){.fd = fd_memory_file("unit")};
	t.x.limits = (struct limits){.timeout = 30,
	    .workers = 2,
	    .min_workers = 1,
	    .idle_exit = 60,
	    .max_requests = UINT64_MAX,
	    .max_rss = UINT64_MAX,
	    .memory = UINT64_MAX,
	    .cpu = UINT64_MAX,
	    .processes = UINT64_MAX};
	t.x.extension = (struct extension_settings){
	    .mode = (char *)"app", .reload = (char *)"keep", .bindings = bindings};
	t.x.route = (struct route){.name = (char *)"app.tiny", .file = -1};
	t.x.found = (struct script_found){.kind = SCRIPT_APP, .code = -1};
	t.x.config = &t.config;
	t.setup = (struct app_pool_setup){.log = &t.log,
	    .spares = spares_create(1, 0),
	    .scripts = scripts_create(bindings),
	    .bindings = bindings,
	    .root_path = t.folder,
	    .root = open(t.folder, O_PATH | O_DIRECTORY | O_CLOEXEC),
	    .stand_in = stand_in};
	before.logs[before.count] = t.log;
	t.setup.log = &before.logs[before.count];
	before.setups[before.count] = t.setup;
	before.pools[before.count] = t.pool = app_pool_create(&before.setups[before.count]);
	before.count++;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	spares_connect(t.setup.spares, 0, ends[0]);
	t.template = ends[1];
	/* What has just been written is no younger than a tick when it is loaded. */
	poll(NULL, 0, 20);
	return 0;
}

static int end(void **state)
{
	(void)state;
	atomic_store(&clock_offset, 0);
	atomic_store(&clock_stands, 0);
	pthread_mutex_lock(&t.pool->lock);
	t.pool->stopping = true;
	pthread_mutex_unlock(&t.pool->lock);
	/* The pool's threads may still look at its name. */
	unit_folder_remove(strdup(t.folder));
	return 0;
}

/* A request. */
struct taker {
	pthread_t thread;
	atomic_bool done;
	int result;
	struct app_taken taken;
	struct buffer output;
	struct error e;
};

static void *take(void *argument)
{
	struct taker *taker = argument;

	taker->result = app_pool_take(t.pool, &t.x, &taker->taken, &taker->output, &taker->e);
	atomic_store(&taker->done, true);
	return NULL;
}

static void come(struct taker *taker)
{
	*taker = (struct taker){0};
	assert_int_equal(pthread_create(&taker->thread, NULL, take, taker), 0);
}

static int result_of(struct taker *taker)
{
	for (int i = 0; !atomic_load(&taker->done); i++) {
		assert_in_range(i, 0, PATIENCE);
		poll(NULL, 0, 1);
	}
	assert_int_equal(pthread_join(taker->thread, NULL), 0);
	buffer_release(&taker->output);
	return taker->result;
}

static void give_back(struct taker *taker, enum app_fate fate)
{
	app_pool_give_back(t.pool, taker->taken.worker, fate, 0);
}

/* The template is asked for a process, and cannot fork. */
static void fail_to_fork(void)
{
	const struct template_answer answer = {.pid = -1};
	struct template_order message;
	int fds[FD_PASS_MAX];

	assert_int_equal(
	    fd_receive(t.template, &message, sizeof(message), fds, 0), sizeof(message));
	for (int i = 0; i < FD_PASS_MAX; i++)
		fd_close(&fds[i]);
	assert_int_equal(fd_send(t.template, &answer, sizeof(answer), NULL, 0), 0);
}

/* A process that the template has forked, as it is seen from within. */
struct worker {
	pid_t pid;
	int channel, errors;
};

static bool is_asked(int milliseconds)
{
	struct pollfd event = {.fd = t.template, .events = POLLIN};

	return poll(&event, 1, milliseconds) == 1;
}

/* The template is asked for a process, and forks one, which gets the order to load. */
static struct worker begin_to_load(void)
{
	struct template_order message;
	struct template_answer answer;
	struct run_order order;
	struct worker w;
	void *memory = NULL;
	int fds[FD_PASS_MAX], handle;

	assert_true(is_asked(PATIENCE));
	assert_int_equal(
	    fd_receive(t.template, &message, sizeof(message), fds, 0), sizeof(message));
	w = (struct worker){.pid = fork(), .channel = fds[0], .errors = fds[2]};
	assert_true(w.pid >= 0);
	if (w.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd_close_from(STDERR_FILENO + 1, -1);
		for (;;)
			pause();
	}
	setpgid(w.pid, w.pid);
	close(fds[1]);
	handle = (int)syscall(SYS_pidfd_open, w.pid, 0);
	answer.pid = w.pid;
	assert_int_equal(fd_send(t.template, &answer, sizeof(answer), &handle, 1), 0);
	close(handle);
	assert_int_equal(run_order_receive(w.channel, &order, &memory), 1);
	assert_int_equal(order.kind, RUN_ORDER_LOAD);
	fd_close(&order.source);
	free(memory);
	return w;
}

/* The template forks a process that is dead already. */
static void fork_dead(void)
{
	struct template_order message;
	struct template_answer answer = {.pid = fork()};
	int fds[FD_PASS_MAX], handle;

	assert_true(answer.pid >= 0);
	if (answer.pid == 0)
		_exit(0);
	assert_int_equal(
	    fd_receive(t.template, &message, sizeof(message), fds, 0), sizeof(message));
	for (int i = 0; i < FD_PASS_MAX; i++)
		fd_close(&fds[i]);
	handle = (int)syscall(SYS_pidfd_open, answer.pid, 0);
	assert_int_equal(fd_send(t.template, &answer, sizeof(answer), &handle, 1), 0);
	close(handle);
	assert_int_equal(waitpid(answer.pid, NULL, 0), answer.pid);
}

static void report(const struct worker *w, enum run_report_type type, int value)
{
	const struct rusage none = {0};

	assert_int_equal(run_report_end(w->channel, type, value, &none), 0);
}

static struct worker load(void)
{
	struct worker w = begin_to_load();

	report(&w, RUN_LOADED, 0);
	return w;
}

static void die(struct worker *w, int wait_status)
{
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	report(w, RUN_DIED, wait_status);
	fd_close(&w->channel);
	fd_close(&w->errors);
}

static void forget(struct worker *w)
{
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	fd_close(&w->channel);
	fd_close(&w->errors);
}

/* The pool has closed the worker's channel, so the worker ends. */
static void assert_is_dismissed(const struct worker *w)
{
	struct pollfd event = {.fd = w->channel, .events = POLLIN | POLLRDHUP};

	assert_int_equal(poll(&event, 1, PATIENCE), 1);
	assert_int_not_equal(event.revents & POLLRDHUP, 0);
}

static bool is_dismissed(const struct worker *w)
{
	struct pollfd event = {.fd = w->channel, .events = POLLRDHUP};

	return poll(&event, 1, 0) == 1;
}

static struct app_report reported(void)
{
	struct app_report copy = {0}, *list;
	size_t count;

	list = app_pool_list(t.pool, &count);
	if (count > 0)
		copy = list[0];
	free(list);
	return copy;
}

/* The app's version. */
static struct app_version present(void)
{
	struct app_version copy;

	pthread_mutex_lock(&t.pool->lock);
	copy = t.pool->apps->version;
	pthread_mutex_unlock(&t.pool->lock);
	return copy;
}

/* Until so many are idle. */
static void wait_for_idle(size_t count)
{
	for (int i = 0; reported().idle != count; i++) {
		assert_in_range(i, 0, PATIENCE);
		poll(NULL, 0, 1);
	}
}

/* Until so many requests wait for a worker. */
static void wait_for_waiting(size_t count)
{
	size_t waiting = 0;

	for (int i = 0; waiting != count; i++) {
		assert_in_range(i, 0, PATIENCE);
		pthread_mutex_lock(&t.pool->lock);
		waiting = t.pool->apps->waiting;
		pthread_mutex_unlock(&t.pool->lock);
		poll(NULL, 0, 1);
	}
}

static void a_request_waits_until_the_app_is_loaded(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	come(&first);
	w = begin_to_load();
	assert_int_equal(reported().loading, 1);
	assert_false(atomic_load(&first.done));
	report(&w, RUN_LOADED, 0);
	assert_int_equal(result_of(&first), 0);
	assert_int_equal(first.taken.process->pid, w.pid);
	assert_int_equal(first.taken.accept, 0);
	assert_int_equal(reported().busy, 1);
	give_back(&first, APP_FATE_ALIVE);
	assert_int_equal(reported().idle, 1);
	forget(&w);
}

static void an_idle_worker_is_taken_and_none_is_started(void **state)
{
	struct taker first, second;
	struct worker w;

	(void)state;
	come(&first);
	w = load();
	assert_int_equal(result_of(&first), 0);
	give_back(&first, APP_FATE_ALIVE);
	come(&second);
	assert_int_equal(result_of(&second), 0);
	assert_int_equal(second.taken.process->pid, w.pid);
	assert_false(is_asked(0));
	give_back(&second, APP_FATE_ALIVE);
	forget(&w);
}

static void of_two_that_are_idle_the_one_that_was_busy_last_is_taken(void **state)
{
	struct taker takers[2], next;
	struct worker workers[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		come(&takers[i]);
		workers[i] = load();
		assert_int_equal(result_of(&takers[i]), 0);
	}
	for (int last = 0; last < 2; last++) {
		pid_t pid = takers[last].taken.process->pid;

		give_back(&takers[1 - last], APP_FATE_ALIVE);
		give_back(&takers[last], APP_FATE_ALIVE);
		come(&next);
		assert_int_equal(result_of(&next), 0);
		assert_int_equal(next.taken.process->pid, pid);
		give_back(&next, APP_FATE_ALIVE);
		for (int i = 0; i < 2; i++) {
			come(&takers[i]);
			assert_int_equal(result_of(&takers[i]), 0);
		}
	}
	for (int i = 0; i < 2; i++) {
		give_back(&takers[i], APP_FATE_ALIVE);
		forget(&workers[i]);
	}
}

static void beyond_the_limit_of_workers_a_request_waits_for_one(void **state)
{
	struct taker first, second;
	struct worker w;

	(void)state;
	t.x.limits.workers = 1;
	come(&first);
	w = load();
	assert_int_equal(result_of(&first), 0);
	come(&second);
	assert_false(is_asked(50));
	assert_false(atomic_load(&second.done));
	give_back(&first, APP_FATE_ALIVE);
	assert_int_equal(result_of(&second), 0);
	give_back(&second, APP_FATE_ALIVE);
	forget(&w);
}

static void a_request_for_which_none_comes_in_time_is_504(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	atomic_store(&clock_offset, -31);
	come(&first);
	w = begin_to_load();
	assert_false(atomic_load(&first.done));
	atomic_store(&clock_offset, 0);
	assert_int_equal(result_of(&first), 504);
	assert_string_equal(first.e.message, "longer than 30 s: no app worker came to be free");
	forget(&w);
}

/* No worker was started: they are all answered by the load that has failed. */
static void assert_refused_at_once(size_t requests)
{
	struct taker takers[8];

	for (size_t i = 0; i < requests; i++)
		come(&takers[i]);
	for (size_t i = 0; i < requests; i++)
		assert_int_equal(result_of(&takers[i]), 500);
	assert_false(is_asked(0));
}

static void an_app_that_does_not_load_is_500_and_later_requests_try_again(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	for (int i = 0; i < 2; i++) {
		come(&first);
		w = begin_to_load();
		assert_int_equal(write(w.errors, "traceback\n", 10), 10);
		die(&w, 1 << 8);
		assert_int_equal(result_of(&first), 500);
		assert_string_equal(first.e.message, "app.tiny does not load: exit status 1");
		assert_string_equal(reported().error, "exit status 1");
		assert_int_equal(present().refusals, i + 1);
		/* More than a quarter of a second. */
		atomic_fetch_add(&clock_offset, 1);
	}
	come(&first);
	w = load();
	assert_int_equal(result_of(&first), 0);
	assert_string_equal(reported().error, "");
	assert_int_equal(present().refusals, 0);
	give_back(&first, APP_FATE_ALIVE);
	forget(&w);
}

static void an_app_that_does_not_load_is_loaded_once_however_many_wait(void **state)
{
	struct taker takers[4];
	struct worker w;

	(void)state;
	t.x.limits.workers = 4;
	for (size_t i = 0; i < UNIT_COUNT(takers); i++)
		come(&takers[i]);
	w = begin_to_load();
	wait_for_waiting(UNIT_COUNT(takers));
	assert_false(is_asked(0));
	atomic_store(&clock_stands, clock_now());
	die(&w, 1 << 8);
	for (size_t i = 0; i < UNIT_COUNT(takers); i++)
		assert_int_equal(result_of(&takers[i]), 500);
	assert_refused_at_once(8);
	assert_int_equal(present().failures, 1);
}

/* A load fails, but a file of it has been mended since it began. */
static void what_has_failed_before_the_file_was_mended_answers_no_request(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	come(&first);
	w = begin_to_load();
	unit_file_write(t.folder, "app.tiny", "#!/usr/bin/tiny\nmended\n", 0755);
	die(&w, 1 << 8);
	w = load();
	assert_int_equal(result_of(&first), 0);
	assert_int_equal(present().failures, 0);
	assert_string_equal(reported().error, "");
	give_back(&first, APP_FATE_ALIVE);
	forget(&w);
}

/* A file that the worker has reported while it loaded counts as well. */
static struct worker refuse_for_module(struct taker *taker)
{
	struct worker w;

	unit_file_write(t.folder, "module.tiny", "broken", 0644);
	poll(NULL, 0, 20);
	come(taker);
	w = begin_to_load();
	assert_int_equal(run_report_send(w.channel, RUN_FILE, 0, "module.tiny", -1), 0);
	die(&w, 1 << 8);
	assert_int_equal(result_of(taker), 500);
	return w;
}

static void a_mended_module_is_loaded_though_no_request_comes(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	/* The clock stands, so that no look once a second can be it: the kernel tells. */
	atomic_store(&clock_stands, clock_now());
	refuse_for_module(&first);
	assert_false(is_asked(50));
	unit_file_write(t.folder, "module.tiny", "mended", 0644);
	w = load();
	wait_for_idle(1);
	forget(&w);
}

static void where_the_kernel_tells_nothing_a_mended_module_is_seen_within_a_second(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	refuse_for_module(&first);
	pthread_mutex_lock(&t.pool->lock);
	assert_true(t.pool->apps->notify >= 0);
	fd_close(&t.pool->apps->notify);
	pthread_mutex_unlock(&t.pool->lock);
	unit_file_write(t.folder, "module.tiny", "mended", 0644);
	w = load();
	wait_for_idle(1);
	forget(&w);
}

static void a_fork_that_fails_is_503_at_once_and_no_failure_of_the_app(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	for (int i = 0; i < 2; i++) {
		come(&first);
		fail_to_fork();
		assert_int_equal(result_of(&first), 503);
		assert_string_equal(
		    first.e.message, "app.tiny: no app worker: no request process could be forked");
		assert_int_equal(present().state, APP_VERSION_NEW);
	}
	come(&first);
	w = load();
	assert_int_equal(result_of(&first), 0);
	assert_string_equal(reported().error, "");
	give_back(&first, APP_FATE_ALIVE);
	forget(&w);
}

/* Clients wait in the app's sockets; the front does not stand in. */
static void a_direct_worker_that_cannot_be_started_is_started_within_a_second(void **state)
{
	static struct app_sockets sockets = {.number = 1, .exchange = {-1, -1}};
	struct app *a = app_add(t.pool, "app.tiny");

	(void)state;
	t.stood_in = -1;
	a->sockets = &sockets;
	a->settings.limits = t.x.limits;
	app_settings_copy_extension(&a->settings, &t.x.extension);
	assert_int_equal(pool_watch_start(t.pool), 0);
	pthread_mutex_lock(&t.pool->lock);
	supply_keep_enough(t.pool, a);
	pthread_mutex_unlock(&t.pool->lock);
	for (int i = 0; i < 2; i++) {
		assert_true(is_asked(PATIENCE));
		fail_to_fork();
	}
	assert_true(is_asked(PATIENCE));
	assert_int_equal(t.stood_in, -1);
}

static void a_worker_that_is_lost_with_its_template_while_it_loads_is_no_failure(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	come(&first);
	for (int i = 0; i < 4; i++) {
		w = begin_to_load();
		forget(&w);
	}
	w = load();
	assert_int_equal(result_of(&first), 0);
	assert_int_equal(present().failures, 0);
	give_back(&first, APP_FATE_ALIVE);
	forget(&w);
}

/* Nothing but the request itself starts a worker then. */
static void a_request_notices_that_its_worker_is_lost_if_none_is_kept(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	t.x.limits.min_workers = 0;
	come(&first);
	w = begin_to_load();
	wait_for_waiting(1);
	forget(&w);
	w = load();
	assert_int_equal(result_of(&first), 0);
	give_back(&first, APP_FATE_ALIVE);
	forget(&w);
}

static void a_process_that_is_dead_before_its_order_is_followed_by_the_next(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	come(&first);
	fork_dead();
	w = load();
	assert_int_equal(result_of(&first), 0);
	assert_int_equal(first.taken.process->pid, w.pid);
	give_back(&first, APP_FATE_ALIVE);
	forget(&w);
}

/* Beside a worker that has loaded, if `proven`. */
static void how_many_workers_start_at_once(void **state)
{
	static struct app_sockets sockets = {.number = 1, .exchange = {-1, -1}};
	static struct app_worker_entry workers[7];
	static const struct {
		uint64_t most, least;
		size_t renewing, started;
		bool direct, proven, ending;
	} cases[] = {
	    {4, 4, 0, 1, false, true, false},
	    {4, 1, 0, 0, false, true, false},
	    {1, 3, 0, 0, false, true, false},
	    {4, 1, 4, 3, false, true, false},
	    {4, 1, 0, 3, true, true, false},
	    {4, 1, 0, 1, true, false, false},
	    {4, 4, 0, 0, true, true, true},
	};

	(void)state;
	assert_int_equal(UNIT_COUNT(workers), UNIT_COUNT(cases));
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct app *a = app_add(t.pool, "app.tiny");
		size_t started, renewing;

		workers[i] = (struct app_worker_entry){
		    .app = a, .version = 1, .state = cases[i].direct ? APP_SERVES : APP_BUSY};
		a->sockets = cases[i].direct ? &sockets : NULL;
		a->settings.limits = t.x.limits;
		a->settings.limits.workers = cases[i].most;
		a->settings.limits.min_workers = cases[i].least;
		a->renewing = cases[i].renewing;
		a->workers = cases[i].proven ? &workers[i] : NULL;
		app_settings_copy_extension(&a->settings, &t.x.extension);
		pthread_mutex_lock(&t.pool->lock);
		t.pool->serving_ends = cases[i].ending;
		supply_keep_enough(t.pool, a);
		started = a->starting;
		renewing = a->renewing;
		pthread_mutex_unlock(&t.pool->lock);
		if (started != cases[i].started || renewing != 0)
			fail_msg("case %zu: %zu, %zu", i, started, renewing);
	}
}

static void the_figures_of_a_worker_that_is_gone_are_kept(void **state)
{
	struct app_worker_entry *w = calloc(1, sizeof(*w));
	struct app *a = app_add(t.pool, "app.tiny");

	(void)state;
	assert_non_null(w);
	*w = (struct app_worker_entry){.app = a,
	    .process = {.channel = -1, .output = -1, .errors = -1, .handle = -1},
	    .notices = -1,
	    .files.folder = -1,
	    .slot = mmap(NULL, sizeof(*w->slot), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
	atomic_store(&w->slot->requests, 3);
	atomic_store(&w->slot->failures, 2);
	atomic_store(&w->slot->lost, 1);
	a->requests = a->failures_answered = a->lost = 10;
	a->workers = w;
	supply_remove(t.pool, w);
	assert_int_equal(a->requests, 13);
	assert_int_equal(a->failures_answered, 12);
	assert_int_equal(a->lost, 11);
}

static void a_worker_that_the_kernel_kills_while_it_loads_is_no_failure_the_first_times(
    void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	come(&first);
	for (int i = 0; i < 3; i++) {
		w = begin_to_load();
		assert_int_equal(present().failures, 0);
		die(&w, SIGKILL);
	}
	assert_int_equal(result_of(&first), 500);
	assert_string_equal(reported().error, "ended by signal 9 (Killed)");
}

static void one_that_takes_too_long_to_load_is_504(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	t.x.limits.timeout = 1;
	come(&first);
	w = begin_to_load();
	atomic_store(&clock_offset, 2);
	/* It is asked where it is, and dies of that, within its first second. */
	assert_int_equal(waitpid(w.pid, NULL, 0), w.pid);
	report(&w, RUN_DIED, RUN_STACK_SIGNAL);
	fd_close(&w.channel);
	fd_close(&w.errors);
	assert_int_equal(result_of(&first), 504);
	for (int i = 0; strcmp(reported().error, "it takes too long") != 0; i++) {
		assert_in_range(i, 0, PATIENCE);
		poll(NULL, 0, 1);
	}
	/* What it means for a request that still waits. */
	assert_int_equal(present().refused_status, 504);
}

/* A worker has loaded; it finds its files changed at the next request. */
static struct worker load_and_change(struct taker *taker)
{
	struct worker w;

	come(taker);
	w = load();
	assert_int_equal(result_of(taker), 0);
	give_back(taker, APP_FATE_STALE);
	return w;
}

static void a_changed_app_is_loaded_anew_and_the_old_worker_goes(void **state)
{
	struct taker first;
	struct worker old = load_and_change(&first), fresh;

	(void)state;
	come(&first);
	fresh = load();
	assert_int_equal(result_of(&first), 0);
	assert_int_equal(first.taken.process->pid, fresh.pid);
	assert_is_dismissed(&old);
	give_back(&first, APP_FATE_ALIVE);
	assert_false(is_dismissed(&fresh));
	forget(&old);
	forget(&fresh);
}

static void an_old_worker_that_was_busy_meanwhile_goes_when_it_is_given_back(void **state)
{
	struct taker busy, first;
	struct worker old, other, fresh;

	(void)state;
	come(&busy);
	old = load();
	assert_int_equal(result_of(&busy), 0);
	other = load_and_change(&first);
	come(&first);
	fresh = load();
	assert_int_equal(result_of(&first), 0);
	assert_false(is_dismissed(&old));
	give_back(&busy, APP_FATE_ALIVE);
	assert_is_dismissed(&old);
	give_back(&first, APP_FATE_ALIVE);
	forget(&old);
	forget(&other);
	forget(&fresh);
}

/*
 * The changed app does not load. The old worker is taken, with the time of the load: changes of its
 * files up to then do not count.
 */
static struct worker refuse_the_change(struct taker *taker)
{
	struct worker old = load_and_change(taker), fresh;

	come(taker);
	fresh = begin_to_load();
	die(&fresh, 1 << 8);
	assert_int_equal(result_of(taker), 0);
	assert_int_equal(taker->taken.process->pid, old.pid);
	assert_true(taker->taken.accept > 0);
	return old;
}

static void a_change_that_does_not_load_leaves_the_old_worker_serving(void **state)
{
	struct taker first;
	struct worker old = refuse_the_change(&first);

	(void)state;
	give_back(&first, APP_FATE_ALIVE);
	come(&first);
	assert_int_equal(result_of(&first), 0);
	/* The worker has the time already. */
	assert_int_equal(first.taken.accept, 0);
	give_back(&first, APP_FATE_ALIVE);
	assert_string_equal(reported().error, "exit status 1");
	forget(&old);
}

static void it_is_tried_again_beside_it_after_two_seconds_and_not_before(void **state)
{
	struct taker first;
	struct worker old = refuse_the_change(&first), fresh;

	(void)state;
	give_back(&first, APP_FATE_ALIVE);
	for (int i = 0; i < 3; i++) {
		come(&first);
		assert_int_equal(result_of(&first), 0);
		give_back(&first, APP_FATE_ALIVE);
	}
	assert_false(is_asked(100));
	atomic_store(&clock_offset, 3);
	come(&first);
	assert_int_equal(result_of(&first), 0);
	give_back(&first, APP_FATE_ALIVE);
	fresh = load();
	wait_for_idle(1);
	assert_is_dismissed(&old);
	forget(&old);
	forget(&fresh);
}

static void a_change_of_what_was_accepted_is_a_new_one(void **state)
{
	struct taker first;
	struct worker old = refuse_the_change(&first), fresh;

	(void)state;
	give_back(&first, APP_FATE_STALE);
	come(&first);
	fresh = load();
	assert_int_equal(result_of(&first), 0);
	assert_int_equal(first.taken.process->pid, fresh.pid);
	give_back(&first, APP_FATE_ALIVE);
	forget(&old);
	forget(&fresh);
}

static void connect_template(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	app_pool_connect(t.pool, 0, ends[0], &t.config);
	close(t.template);
	t.template = ends[1];
}

static void a_new_template_replaces_workers_one_for_one_once_one_of_it_has_loaded(void **state)
{
	struct taker takers[2];
	struct worker workers[2], fresh[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		come(&takers[i]);
		workers[i] = load();
		assert_int_equal(result_of(&takers[i]), 0);
	}
	give_back(&takers[0], APP_FATE_ALIVE);
	give_back(&takers[1], APP_FATE_ALIVE);
	connect_template();
	fresh[0] = begin_to_load();
	assert_false(is_asked(20));
	/* The old ones serve until then. */
	assert_int_equal(reported().idle, 2);
	report(&fresh[0], RUN_LOADED, 0);
	fresh[1] = load();
	for (int i = 0; i < 2; i++) {
		assert_is_dismissed(&workers[i]);
		forget(&workers[i]);
	}
	wait_for_idle(2);
	assert_false(is_asked(0));
	forget(&fresh[0]);
	forget(&fresh[1]);
}

/*
 * A template ends with its last worker. So each worker of the old template has to go, though no
 * other request comes: here a worker that loads when the new template comes.
 */
static void a_worker_that_loads_when_a_new_template_comes_is_replaced(void **state)
{
	struct taker first;
	struct worker old, fresh;

	(void)state;
	t.x.limits.min_workers = 0;
	come(&first);
	old = begin_to_load();
	connect_template();
	report(&old, RUN_LOADED, 0);
	/* The request does not wait for a second load. */
	assert_int_equal(result_of(&first), 0);
	assert_int_equal(first.taken.process->pid, old.pid);
	fresh = load();
	give_back(&first, APP_FATE_ALIVE);
	assert_is_dismissed(&old);
	wait_for_idle(1);
	assert_false(is_asked(0));
	forget(&old);
	forget(&fresh);
}

static void a_worker_that_has_loaded_only_after_that_of_the_new_template_goes(void **state)
{
	struct taker first;
	struct worker old, fresh;

	(void)state;
	t.x.limits.min_workers = 0;
	come(&first);
	old = begin_to_load();
	connect_template();
	fresh = load();
	assert_int_equal(result_of(&first), 0);
	assert_int_equal(first.taken.process->pid, fresh.pid);
	report(&old, RUN_LOADED, 0);
	assert_is_dismissed(&old);
	give_back(&first, APP_FATE_ALIVE);
	wait_for_idle(1);
	forget(&old);
	forget(&fresh);
}

/* The worker gets its order while the new template comes, and is in no list yet. */
static void a_worker_that_is_being_started_when_a_new_template_comes_is_replaced(void **state)
{
	struct app *a = app_add(t.pool, "app.tiny");
	struct worker old, fresh;
	int ends[2];

	(void)state;
	t.x.limits.min_workers = 0;
	a->settings.limits = t.x.limits;
	app_settings_copy_extension(&a->settings, &t.x.extension);
	assert_int_equal(pool_watch_start(t.pool), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pthread_mutex_lock(&t.pool->lock);
	supply_start_ahead(t.pool, a);
	old = begin_to_load();
	/* app_pool_connect() has no worker to replace. */
	spares_connect(t.setup.spares, 0, ends[0]);
	pthread_mutex_unlock(&t.pool->lock);
	close(t.template);
	t.template = ends[1];
	report(&old, RUN_LOADED, 0);
	fresh = load();
	assert_is_dismissed(&old);
	wait_for_idle(1);
	assert_false(is_asked(0));
	forget(&old);
	forget(&fresh);
}

/* The only worker of the new template has gone before the old one's request ends. */
static void a_worker_whose_request_outlasts_the_new_templates_worker_goes(void **state)
{
	struct taker first, second;
	struct worker old, fresh;

	(void)state;
	t.x.limits.min_workers = 0;
	come(&first);
	old = load();
	assert_int_equal(result_of(&first), 0);
	connect_template();
	fresh = load();
	come(&second);
	assert_int_equal(result_of(&second), 0);
	give_back(&second, APP_FATE_ENDS);
	give_back(&first, APP_FATE_ALIVE);
	assert_is_dismissed(&old);
	forget(&old);
	forget(&fresh);
}

/* The new template cannot fork at first. */
static void workers_are_replaced_though_the_first_start_has_failed(void **state)
{
	struct taker first;
	struct worker old, fresh;

	(void)state;
	t.x.limits.min_workers = 0;
	come(&first);
	old = load();
	assert_int_equal(result_of(&first), 0);
	give_back(&first, APP_FATE_ALIVE);
	connect_template();
	fail_to_fork();
	fresh = load();
	assert_is_dismissed(&old);
	forget(&old);
	forget(&fresh);
}

static void with_reload_strict_the_old_one_does_not_answer(void **state)
{
	struct taker first;
	struct worker old, fresh;

	(void)state;
	t.x.extension.reload = (char *)"strict";
	old = load_and_change(&first);
	assert_is_dismissed(&old);
	come(&first);
	fresh = begin_to_load();
	die(&fresh, 1 << 8);
	assert_int_equal(result_of(&first), 500);
	forget(&old);
}

/* An idle one dies; the first is replaced at once. */
static struct worker load_idle(void)
{
	struct worker w = load();

	wait_for_idle(1);
	return w;
}

static void one_that_dies_is_replaced_at_once_and_the_next_within_a_second_is_not(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	come(&first);
	w = load();
	assert_int_equal(result_of(&first), 0);
	give_back(&first, APP_FATE_ALIVE);
	die(&w, SIGKILL);
	w = load_idle();
	die(&w, SIGKILL);
	wait_for_idle(0);
	assert_false(is_asked(100));
}

static void a_long_life_between_them_makes_an_early_death_the_first_again(void **state)
{
	struct taker first;
	struct worker w;

	(void)state;
	come(&first);
	w = load();
	assert_int_equal(result_of(&first), 0);
	give_back(&first, APP_FATE_ALIVE);
	die(&w, SIGKILL);
	w = load_idle();
	atomic_store(&clock_offset, 5);
	die(&w, SIGKILL);
	w = load_idle();
	die(&w, SIGKILL);
	w = load_idle();
	forget(&w);
}

static void one_too_many_goes_when_it_was_idle_for_its_time_and_not_before(void **state)
{
	struct taker takers[2];
	struct worker workers[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		come(&takers[i]);
		workers[i] = load();
		assert_int_equal(result_of(&takers[i]), 0);
	}
	give_back(&takers[0], APP_FATE_ALIVE);
	give_back(&takers[1], APP_FATE_ALIVE);
	/* An event at which the thread that watches looks at all: some seconds have passed. */
	atomic_store(&clock_offset, 30);
	assert_int_equal(write(workers[0].errors, "look\n", 5), 5);
	for (int i = 0; i < 100 && !is_dismissed(&workers[0]) && !is_dismissed(&workers[1]); i++)
		poll(NULL, 0, 1);
	assert_int_equal(reported().idle, 2);
	atomic_store(&clock_offset, 62);
	wait_for_idle(1);
	atomic_store(&clock_offset, 200);
	assert_int_equal(write(workers[0].errors, "look\n", 5), 5);
	assert_int_equal(write(workers[1].errors, "look\n", 5), 5);
	assert_false(is_asked(100));
	assert_int_equal(reported().idle, 1);
	assert_true(is_dismissed(&workers[0]) != is_dismissed(&workers[1]));
	forget(&workers[0]);
	forget(&workers[1]);
}

/* It is asked where it is, which ends such a process. */
static bool is_asked_where_it_is(const struct worker *w)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == w->pid && info.si_status == RUN_STACK_SIGNAL;
}

static void one_that_has_been_told_to_go_and_stays_is_ended(void **state)
{
	struct taker takers[2];
	struct worker workers[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		come(&takers[i]);
		workers[i] = load();
		assert_int_equal(result_of(&takers[i]), 0);
	}
	give_back(&takers[0], APP_FATE_ALIVE);
	give_back(&takers[1], APP_FATE_ALIVE);
	atomic_store(&clock_offset, 62);
	wait_for_idle(1);
	assert_false(is_asked_where_it_is(&workers[0]) || is_asked_where_it_is(&workers[1]));
	atomic_store(&clock_offset, 68);
	for (int i = 0; !is_asked_where_it_is(&workers[0]) && !is_asked_where_it_is(&workers[1]);
	     i++) {
		assert_in_range(i, 0, PATIENCE);
		poll(NULL, 0, 1);
	}
	forget(&workers[0]);
	forget(&workers[1]);
}

static void one_that_says_that_it_ends_and_stays_is_ended(void **state)
{
	struct taker first;
	struct worker w, next;

	(void)state;
	come(&first);
	w = load();
	assert_int_equal(result_of(&first), 0);
	give_back(&first, APP_FATE_ENDS);
	next = load_idle();
	assert_false(is_asked_where_it_is(&w));
	atomic_store(&clock_offset, 6);
	for (int i = 0; !is_asked_where_it_is(&w); i++) {
		assert_in_range(i, 0, PATIENCE);
		poll(NULL, 0, 1);
	}
	forget(&w);
	forget(&next);
}

static void the_last_words_of_a_load_are_of_the_present_version_alone(void **state)
{
	struct app_refusal refusal = {.version = 1, .began = 5, .status = 500, .reason = "first"};
	struct app *a = app_add(t.pool, "app.tiny");

	(void)state;
	supply_refuse(t.pool, a, &refusal);
	assert_string_equal(a->error, "first");
	a->error_time = 7;
	refusal.reason = "second";
	supply_refuse(t.pool, a, &refusal);
	assert_string_equal(a->error, "second");
	/* Since when it does not load. */
	assert_int_equal(a->error_time, 7);
	app_step(a, (struct app_version_event){.kind = APP_VERSION_CHANGED, .number = 1});
	refusal.reason = "late";
	supply_refuse(t.pool, a, &refusal);
	assert_string_equal(a->error, "second");
	assert_int_equal(a->version.failures, 2);
	assert_false(app_version_is_refused(&a->version));
}

static void the_front_stands_in_for_an_app_that_does_not_load(void **state)
{
	struct app_sockets sockets = {.number = 1, .exchange = {-1, -1}};
	struct app *a = app_add(t.pool, "app.tiny");

	(void)state;
	a->sockets = &sockets;
	supply_refuse(
	    t.pool, a, &(struct app_refusal){.version = 1, .status = 500, .reason = "no"});
	assert_int_equal(t.stood_in, 1);
	a->sockets = NULL;
}

static void the_time_that_has_come_starts_a_worker_of_it(void **state)
{
	/* The thread looks there to the end of the program. */
	static struct app_sockets sockets = {.number = 1, .exchange = {-1, -1}};
	struct app *a = app_add(t.pool, "app.tiny");
	const struct app_refusal refusal = {.version = 1, .status = 500, .reason = "no"};

	(void)state;
	a->sockets = &sockets;
	a->settings.limits = t.x.limits;
	app_settings_copy_extension(&a->settings, &t.x.extension);
	assert_int_equal(pool_watch_start(t.pool), 0);
	pthread_mutex_lock(&t.pool->lock);
	supply_refuse(t.pool, a, &refusal);
	pthread_mutex_unlock(&t.pool->lock);
	/* The thread looks once a second. */
	assert_false(is_asked(1100));
	atomic_store(&clock_offset, 3);
	assert_true(is_asked(PATIENCE));
}

static void another_value_of_a_languages_setting_needs_other_workers(void **state)
{
	char path[] = "/lib", same[] = "/lib", other[] = "/other", none[] = "";
	struct app_settings settings = {0};
	bool changed;

	(void)state;
	t.x.extension.languages[0] = none;
	t.x.extension.languages[1] = path;
	assert_int_equal(app_settings_take(&settings, &t.x, &changed), 0);
	assert_true(changed);
	assert_string_equal(settings.extension.languages[1], "/lib");
	assert_ptr_not_equal(settings.extension.languages[1], path);
	t.x.extension.languages[1] = same;
	assert_int_equal(app_settings_take(&settings, &t.x, &changed), 0);
	assert_false(changed);
	t.x.extension.languages[1] = other;
	assert_int_equal(app_settings_take(&settings, &t.x, &changed), 0);
	assert_true(changed);
	assert_string_equal(settings.extension.languages[0], "");
	assert_string_equal(settings.extension.languages[1], "/other");
	config_release_language_values(&settings.extension);
}

static void a_client_of_an_app_that_is_stood_in_for_has_it_loaded_again(void **state)
{
	static struct app_sockets sockets = {.number = 1, .exchange = {-1, -1}};
	struct app *a = app_add(t.pool, "app.tiny");
	struct app_files files = {.folder = t.setup.root};
	struct app_refusal refusal = {.version = 1, .status = 500, .reason = "no", .files = &files};
	const struct timespec now = {.tv_sec = time(NULL) + 1};

	(void)state;
	atomic_store(&clock_stands, clock_now());
	a->sockets = &sockets;
	a->settings.limits = t.x.limits;
	app_settings_copy_extension(&a->settings, &t.x.extension);
	app_files_add(&files, "app.tiny", &now);
	supply_refuse(t.pool, a, &refusal);
	assert_int_equal(t.stood_in, 1);
	/* A moment later nothing has changed. */
	assert_false(app_pool_try_again(t.pool, 1));
	assert_false(app_pool_try_again(t.pool, 2));
	assert_int_equal(t.stood_in, 1);
	atomic_fetch_add(&clock_stands, CLOCK_SECOND / 2);
	assert_true(app_pool_try_again(t.pool, 1));
	assert_int_equal(a->version.state, APP_VERSION_RETRIED);
	assert_int_equal(t.stood_in, 0);
	assert_true(is_asked(PATIENCE));
	/* A file that has changed is loaded at once. */
	files.folder = t.setup.root;
	app_files_add(&files, "app.tiny", &now);
	supply_refuse(t.pool, a, &refusal);
	assert_int_equal(t.stood_in, 1);
	unit_file_write(t.folder, "app.tiny", "mended", 0755);
	assert_true(app_pool_try_again(t.pool, 1));
	assert_int_equal(a->version.number, 2);
	assert_int_equal(t.stood_in, 0);
}

static void those_that_serve_and_are_stale_go_on_and_count_as_of_what_was_refused(void **state)
{
	struct app *a = app_add(t.pool, "app.tiny");
	struct app_worker_entry w = {.app = a, .state = APP_SERVES, .stale = true, .version = 1};
	struct app_worker_entry fresh = {.app = a, .state = APP_SERVES, .version = 1};
	struct run_order order;
	void *memory = NULL;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	w.process.channel = ends[0];
	w.next = &fresh;
	fresh.process.channel = -1;
	a->workers = &w;
	a->version.number = 3;
	a->version.tried_at = 77;
	sockets_resume_all(a);
	assert_false(w.stale);
	assert_int_equal(w.accepted, 3);
	assert_int_equal(fresh.accepted, 0);
	assert_int_equal(run_order_receive(ends[1], &order, &memory), 1);
	assert_int_equal(order.kind, RUN_ORDER_RESUME);
	assert_int_equal(order.accept, 77);
	assert_true(order.force);
	free(memory);
	a->workers = NULL;
	close(ends[0]);
	close(ends[1]);
}

/* Until it is in the log. */
static void write_and_wait(int errors, const char *text)
{
	size_t lines = 0;

	assert_int_equal(write(errors, text, strlen(text)), strlen(text));
	for (int i = 0; lines == 0; i++) {
		char *all = unit_read(t.log.fd);

		assert_in_range(i, 0, PATIENCE);
		/* There it has a tag behind it. */
		lines += memmem(all, strlen(all), text, strlen(text) - 1) != NULL;
		free(all);
		poll(NULL, 0, 1);
	}
}

static void what_a_worker_writes_within_a_request_or_just_behind_it_is_that_requests(void **state)
{
	static struct app_sockets sockets = {.number = 1, .exchange = {-1, -1}};
	static struct app_worker_entry w;
	struct scoreboard_slot *slot = calloc(1, sizeof(*slot));
	struct app *a = app_add(t.pool, "app.tiny");
	int ends[2];
	char *all;

	(void)state;
	assert_non_null(slot);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	a->sockets = &sockets;
	a->version.hold_until = UINT64_MAX;
	w = (struct app_worker_entry){.app = a,
	    .id = 1,
	    .process = {.channel = -1, .errors = ends[0], .handle = -1},
	    .notices = -1,
	    .state = APP_SERVES,
	    .version = 1,
	    .slot = slot,
	    .errors = {.log = &t.log, .script = "app.tiny"}};
	memcpy(slot->shown[0].id, "0123456789abcdef", sizeof(slot->shown[0].id));
	assert_int_equal(pool_watch_start(t.pool), 0);
	pthread_mutex_lock(&t.pool->lock);
	a->workers = &w;
	worker_watch(t.pool, &w);
	pthread_mutex_unlock(&t.pool->lock);
	atomic_store(&slot->turn, 1);
	write_and_wait(ends[1], "within\n");
	atomic_store(&slot->turn, 2);
	/* A moment ago, however slow the machine is. */
	atomic_store(&clock_stands, clock_now());
	atomic_store(&slot->ended, clock_now());
	write_and_wait(ends[1], "behind\n");
	atomic_store(&slot->ended, clock_now() - CLOCK_SECOND);
	write_and_wait(ends[1], "between\n");
	atomic_store(&clock_stands, 0);
	pthread_mutex_lock(&t.pool->lock);
	a->workers = NULL;
	pthread_mutex_unlock(&t.pool->lock);
	all = unit_read(t.log.fd);
	assert_non_null(strstr(all, "[0123456789abcdef] within"));
	assert_non_null(strstr(all, "[0123456789abcdef] behind"));
	assert_null(strstr(all, "[0123456789abcdef] between"));
	free(all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_request_waits_until_the_app_is_loaded),
	    TEST(an_idle_worker_is_taken_and_none_is_started),
	    TEST(of_two_that_are_idle_the_one_that_was_busy_last_is_taken),
	    TEST(beyond_the_limit_of_workers_a_request_waits_for_one),
	    TEST(a_request_for_which_none_comes_in_time_is_504),
	    TEST(an_app_that_does_not_load_is_500_and_later_requests_try_again),
	    TEST(an_app_that_does_not_load_is_loaded_once_however_many_wait),
	    TEST(what_has_failed_before_the_file_was_mended_answers_no_request),
	    TEST(a_mended_module_is_loaded_though_no_request_comes),
	    TEST(where_the_kernel_tells_nothing_a_mended_module_is_seen_within_a_second),
	    TEST(a_fork_that_fails_is_503_at_once_and_no_failure_of_the_app),
	    TEST(a_direct_worker_that_cannot_be_started_is_started_within_a_second),
	    TEST(a_worker_that_is_lost_with_its_template_while_it_loads_is_no_failure),
	    TEST(a_request_notices_that_its_worker_is_lost_if_none_is_kept),
	    TEST(a_process_that_is_dead_before_its_order_is_followed_by_the_next),
	    TEST(how_many_workers_start_at_once),
	    TEST(the_figures_of_a_worker_that_is_gone_are_kept),
	    TEST(a_worker_that_the_kernel_kills_while_it_loads_is_no_failure_the_first_times),
	    TEST(one_that_takes_too_long_to_load_is_504),
	    TEST(a_changed_app_is_loaded_anew_and_the_old_worker_goes),
	    TEST(an_old_worker_that_was_busy_meanwhile_goes_when_it_is_given_back),
	    TEST(a_change_that_does_not_load_leaves_the_old_worker_serving),
	    TEST(it_is_tried_again_beside_it_after_two_seconds_and_not_before),
	    TEST(a_change_of_what_was_accepted_is_a_new_one),
	    TEST(a_new_template_replaces_workers_one_for_one_once_one_of_it_has_loaded),
	    TEST(a_worker_that_loads_when_a_new_template_comes_is_replaced),
	    TEST(a_worker_that_has_loaded_only_after_that_of_the_new_template_goes),
	    TEST(a_worker_that_is_being_started_when_a_new_template_comes_is_replaced),
	    TEST(a_worker_whose_request_outlasts_the_new_templates_worker_goes),
	    TEST(workers_are_replaced_though_the_first_start_has_failed),
	    TEST(with_reload_strict_the_old_one_does_not_answer),
	    TEST(one_that_dies_is_replaced_at_once_and_the_next_within_a_second_is_not),
	    TEST(a_long_life_between_them_makes_an_early_death_the_first_again),
	    TEST(one_too_many_goes_when_it_was_idle_for_its_time_and_not_before),
	    TEST(one_that_has_been_told_to_go_and_stays_is_ended),
	    TEST(one_that_says_that_it_ends_and_stays_is_ended),
	    TEST(the_last_words_of_a_load_are_of_the_present_version_alone),
	    TEST(the_front_stands_in_for_an_app_that_does_not_load),
	    TEST(the_time_that_has_come_starts_a_worker_of_it),
	    TEST(another_value_of_a_languages_setting_needs_other_workers),
	    TEST(a_client_of_an_app_that_is_stood_in_for_has_it_loaded_again),
	    TEST(those_that_serve_and_are_stale_go_on_and_count_as_of_what_was_refused),
	    TEST(what_a_worker_writes_within_a_request_or_just_behind_it_is_that_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
