/*
 * What an app worker does with its app, whether the front brings the requests (app_orders.c) or they
 * come by a socket of its own (app_serve.c).
 */
#include "app_loaded.h"

#include "fd.h"
#include "run_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static void take_order(struct app_loaded *a, const struct run_order *order);
static bool is_too_large(const struct app_loaded *a);
static void limit_cpu(const struct app_loaded *a);

/* What the interpreter has in its environment; a request's variables are the request's. */
static char *environment[] = {
    (char[]){"PATH=/usr/bin:/bin"}, (char[]){"HOME=/"}, (char[]){"LANG=C.UTF-8"}, NULL};

void app_load(struct app_loaded *a, const struct binding *binding, struct binding_run *run,
    const struct run_order *order)
{
	struct stat status;

	*a = (struct app_loaded){
	    .app.run = run, .binding = binding, .channel = run->channel->socket};
	take_order(a, order);
	clock_gettime(CLOCK_REALTIME, &a->since);
	run->environment = environ;
	if (fstat(run->source, &status) == 0)
		app_files_add_open(&a->files, run->script, &status);
	if (binding->load == NULL) {
		dprintf(STDERR_FILENO, "exthost: %s has no apps\n", binding->name);
		binding_end(run, EXIT_FAILURE);
	}
	if (binding->load(&a->app) < 0)
		binding_end(run, EXIT_FAILURE);
	getrusage(RUSAGE_SELF, &a->used);
}

static const char *text_or_null(const struct run_order *order, const char *name)
{
	const char *text = run_order_setting(order->environment, name);

	return text != NULL && text[0] != '\0' ? text : NULL;
}

static void take_order(struct app_loaded *a, const struct run_order *order)
{
	const char *root = run_order_setting(order->environment, "root");

	a->app.rerun = order->app.rerun != 0;
	a->app.debug = order->app.debug != 0;
	a->app.path = text_or_null(order, "path");
	a->app.venv = text_or_null(order, "venv");
	a->cpu = order->limits.cpu;
	a->max_rss = order->app.max_rss;
	a->left = order->app.max_requests;
	snprintf(
	    a->root, sizeof(a->root), "%s/", root != NULL && strcmp(root, "/") != 0 ? root : "");
	/* What an app prints belongs into no reply. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	environ = environment;
}

void app_wait(struct app_loaded *a, int descriptor)
{
	struct pollfd event = {.fd = descriptor, .events = POLLIN};

	if (a->binding->wait != NULL)
		a->binding->wait(&a->app, descriptor);
	else
		poll(&event, 1, -1);
}

/* What was used since the last time. */
static struct rusage take_usage(struct app_loaded *a)
{
	struct rusage now, since;

	getrusage(RUSAGE_SELF, &now);
	since = now;
	timersub(&now.ru_utime, &a->used.ru_utime, &since.ru_utime);
	timersub(&now.ru_stime, &a->used.ru_stime, &since.ru_stime);
	a->used = now;
	return since;
}

int app_answer(struct app_loaded *a, struct binding_call *call, struct rusage *usage)
{
	int outcome;

	clock_gettime(CLOCK_REALTIME_COARSE, &a->since);
	limit_cpu(a);
	outcome = a->binding->answer(&a->app, call);
	a->worn = (a->left != UINT64_MAX && (a->left == 0 || --a->left == 0)) || is_too_large(a);
	a->must_end = (outcome & BINDING_RETIRE) != 0;
	if (a->worn)
		outcome |= BINDING_RETIRE;
	if (usage != NULL)
		*usage = take_usage(a);
	return outcome;
}

static bool is_too_large(const struct app_loaded *a)
{
	char text[128];
	unsigned long long pages = 0;
	FD_OWNED int file = -1;
	ssize_t n;

	if (a->max_rss == UINT64_MAX)
		return false;
	file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	n = file >= 0 ? read(file, text, sizeof(text) - 1) : 0;
	text[n > 0 ? n : 0] = '\0';
	return sscanf(text, "%*u %llu", &pages) == 1 &&
	       pages * (unsigned long long)sysconf(_SC_PAGESIZE) > a->max_rss;
}

/* At so many seconds in all comes SIGXCPU, and the front sees to it that the request ends. */
static void limit_cpu(const struct app_loaded *a)
{
	struct rlimit limit = {.rlim_max = RLIM_INFINITY};

	if (a->cpu == UINT64_MAX)
		return;
	limit.rlim_cur =
	    (rlim_t)(a->used.ru_utime.tv_sec + a->used.ru_stime.tv_sec + 1) + (rlim_t)a->cpu;
	setrlimit(RLIMIT_CPU, &limit);
}

void app_leave(struct app_loaded *a)
{
	if (a->binding->unload != NULL)
		a->binding->unload(&a->app);
	binding_end(a->app.run, EXIT_SUCCESS);
}

void binding_depends(struct binding_app *app, const char *path)
{
	struct app_loaded *a = (struct app_loaded *)app;

	if (strncmp(path, a->root, strlen(a->root)) == 0)
		app_files_add(&a->files, path, &a->since);
}
