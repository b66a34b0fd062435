/*
 * What an app worker does with its app, whether the front brings the requests (app_worker.c) or
 * they come by a socket of its own (direct_serve.c).
 */
#include "worker/app_loaded.h"

#include "base/fd.h"
#include "base/process.h"
#include "config/environment.h"
#include "ipc/load_order.h"
#include "ipc/run_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static void take_order(struct app_loaded *a, const struct load_order *order);
static rlim_t most_descriptors(void);
static int set_environment(const struct config_list *configured);
static bool has_lost_descriptors(struct app_loaded *a);
static bool is_too_large(const struct app_loaded *a);
static void limit_cpu(struct app_loaded *a);

/* What the interpreter has in its environment at the least. */
static const struct config_list always = {.items = (char *[]){(char[]){"PATH=/usr/bin:/bin"},
					      (char[]){"HOME=/"}, (char[]){"LANG=C.UTF-8"}},
    .count = 3};

void app_load(struct app_loaded *a, const struct binding *binding, struct binding_run *run,
    const struct load_order *order)
{
	struct stat status;

	*a = (struct app_loaded){
	    .app.run = run, .binding = binding, .channel = run->channel->socket};
	prctl(PR_SET_NAME, "exthost-app");
	take_order(a, order);
	clock_gettime(CLOCK_REALTIME, &a->since);
	run->environment = environ;
	if (fstat(run->source, &status) == 0)
		app_files_add_open(&a->files, run->script + strlen(a->root), &status, &a->since);
	if (binding->load == NULL) {
		dprintf(STDERR_FILENO, "exthost: %s has no apps\n", binding->name);
		binding_end(run, EXIT_FAILURE);
	}
	a->loading = true;
	if (binding->load(&a->app) < 0)
		binding_end(run, EXIT_FAILURE);
	a->loading = false;
	getrusage(RUSAGE_SELF, &a->used);
	a->descriptors = most_descriptors();
}

static rlim_t most_descriptors(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

static int open_folder(const char *path)
{
	return fd_move_high(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void take_order(struct app_loaded *a, const struct load_order *order)
{
	a->app.rerun = order->rerun;
	a->app.validate = order->validate;
	a->serves = order->serves;
	a->cpu = order->cpu;
	a->max_rss = order->max_rss;
	a->left = order->max_requests;
	a->files.folder = open_folder(order->root);
	snprintf(a->root, sizeof(a->root), "%s/", strcmp(order->root, "/") != 0 ? order->root : "");
	a->environment = order->environment;
	/* Writing a reply without a reader is an error, and does not end the worker. */
	signal(SIGPIPE, SIG_IGN);
	/* What an app prints belongs into no reply. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	if (set_environment(&a->environment) < 0) {
		dprintf(STDERR_FILENO, "exthost: environment: %s\n", strerror(errno));
		binding_end(a->app.run, EXIT_FAILURE);
	}
}

/* Set that of the process: no variable of a request is in it. 0, or -1 with errno. */
static int set_environment(const struct config_list *configured)
{
	struct config_list all = {0};
	char **items = NULL;

	if (environment_merge(&all, configured) == 0 && environment_merge(&all, &always) == 0)
		items = reallocarray(all.items, all.count + 1, sizeof(*items));
	if (items == NULL)
		return -1;
	items[all.count] = NULL;
	environ = items;
	return 0;
}

bool app_wait(struct app_loaded *a, int descriptor)
{
	return a->binding->wait != NULL && a->binding->wait(&a->app, descriptor);
}

void app_take_usage(struct app_loaded *a, struct rusage *usage)
{
	struct rusage now;

	getrusage(RUSAGE_SELF, &now);
	*usage = now;
	timersub(&now.ru_utime, &a->used.ru_utime, &usage->ru_utime);
	timersub(&now.ru_stime, &a->used.ru_stime, &usage->ru_stime);
	a->used = now;
}

int app_answer(struct app_loaded *a, struct binding_call *call)
{
	int outcome;

	/* Not the coarse clock: it may be behind by more than a file was waited for to settle. */
	clock_gettime(CLOCK_REALTIME, &a->since);
	limit_cpu(a);
	outcome = a->binding->answer(&a->app, call);
	if (has_lost_descriptors(a))
		outcome |= BINDING_RETIRE;
	a->spent = a->app.rerun && (outcome & BINDING_RETIRE) != 0;
	if (a->left != UINT64_MAX && --a->left == 0)
		outcome |= BINDING_RETIRE;
	if (is_too_large(a))
		outcome |= BINDING_RETIRE;
	return outcome;
}

void app_accept(struct app_loaded *a, int64_t until)
{
	app_files_accept(&a->files, until);
	a->left = UINT64_MAX;
}

/*
 * File descriptors that a request has taken from the limit are missing for the next one. An app in
 * a direct worker is looked at once a second: a system call more for each request would be felt,
 * and without descriptors the worker cannot accept, and is replaced.
 */
static bool has_lost_descriptors(struct app_loaded *a)
{
	if (a->serves && !a->app.rerun && a->since.tv_sec == a->looked)
		return false;
	a->looked = a->since.tv_sec;
	return most_descriptors() < a->descriptors;
}

static bool is_too_large(const struct app_loaded *a)
{
	struct process_memory memory;

	return a->max_rss != UINT64_MAX && process_memory(0, &memory) == 0 &&
	       memory.resident > a->max_rss;
}

/* At so many seconds in all comes SIGXCPU, and the front sees to it that the request ends. */
static void limit_cpu(struct app_loaded *a)
{
	struct rlimit limit = {.rlim_max = RLIM_INFINITY};
	struct timeval used;

	if (a->cpu == UINT64_MAX)
		return;
	/* What its threads have used in between is no request's. */
	getrusage(RUSAGE_SELF, &a->used);
	timeradd(&a->used.ru_utime, &a->used.ru_stime, &used);
	limit.rlim_cur = (rlim_t)used.tv_sec + 1 + (rlim_t)a->cpu;
	setrlimit(RLIMIT_CPU, &limit);
}

void app_leave(struct app_loaded *a)
{
	if (a->binding->unload != NULL)
		a->binding->unload(&a->app);
	binding_end(a->app.run, EXIT_SUCCESS);
}

/* If the load fails, the front must notice when a file of it is mended. */
static void tell_front(const struct app_loaded *a, const char *name)
{
	const struct run_channel *channel = a->app.run->channel;

	if (a->loading && getpid() == channel->owner && strlen(name) < RUN_TEXT_MAX)
		run_report_send(channel->socket, RUN_FILE, 0, name, -1);
}

void binding_depends(struct binding_app *app, const char *path)
{
	struct app_loaded *a = (struct app_loaded *)app;

	if (strncmp(path, a->root, strlen(a->root)) != 0)
		return;
	app_files_add(&a->files, path + strlen(a->root), &a->since);
	tell_front(a, path + strlen(a->root));
}
