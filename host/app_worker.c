/*
 * An app worker is a request process that was told to stay. It loads its app, says so, and then
 * takes one order after another from its channel, each with the descriptors of one request: the body
 * as a file, and a pipe for the reply. So nothing of one request can get into the reply of another,
 * and a reply ends where its pipe does.
 *
 * Before each request it looks at the files that the app is made of. If one has changed it does not
 * begin the request but says so, and the front gives it to a worker that has loaded the new ones.
 */
#include "app_worker.h"

#include "app_files.h"
#include "app_reply.h"
#include "binding.h"
#include "fd.h"
#include "run_channel.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct app_worker {
	struct binding_app app; /* the first: binding_depends gets no more than this */
	const struct binding *binding;
	char root[PATH_MAX]; /* of what the app is made of, with a slash at its end */
	int channel;
	uint64_t cpu;          /* seconds that a request may use */
	uint64_t max_rss;      /* bytes */
	uint64_t left;         /* requests */
	struct timespec since; /* when what is going on has begun */
	struct rusage used;    /* before the request */
	struct app_files files;
};

static void take_order(struct app_worker *w, const struct run_order *order);
static void load(struct app_worker *w, struct binding_run *run);
static bool answer_one(struct app_worker *w);
static bool answer(struct app_worker *w, struct run_order *order);
static bool is_too_large(const struct app_worker *w);
static void limit_cpu(const struct app_worker *w);
static void leave(struct app_worker *w) __attribute__((noreturn));

/* What the interpreter has in its environment; a request's variables are the request's. */
static char *environment[] = {
    (char[]){"PATH=/usr/bin:/bin"}, (char[]){"HOME=/"}, (char[]){"LANG=C.UTF-8"}, NULL};

void app_worker_main(
    const struct binding *binding, struct binding_run *run, const struct run_order *order)
{
	struct app_worker w = {.app.run = run, .binding = binding, .channel = run->channel->socket};

	take_order(&w, order);
	load(&w, run);
	run_report_send(w.channel, RUN_LOADED, 0, "", -1);
	while (answer_one(&w))
		;
	leave(&w);
}

static const char *text_or_null(const struct run_order *order, const char *name)
{
	const char *text = run_order_setting(order->environment, name);

	return text != NULL && text[0] != '\0' ? text : NULL;
}

static void take_order(struct app_worker *w, const struct run_order *order)
{
	const char *root = run_order_setting(order->environment, "root");

	w->app.rerun = order->app.rerun != 0;
	w->app.debug = order->app.debug != 0;
	w->app.path = text_or_null(order, "path");
	w->app.venv = text_or_null(order, "venv");
	w->cpu = order->limits.cpu;
	w->max_rss = order->app.max_rss;
	w->left = order->app.max_requests;
	snprintf(
	    w->root, sizeof(w->root), "%s/", root != NULL && strcmp(root, "/") != 0 ? root : "");
	/* What an app prints belongs into no reply. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	environ = environment;
}

static void load(struct app_worker *w, struct binding_run *run)
{
	struct stat status;

	clock_gettime(CLOCK_REALTIME, &w->since);
	run->environment = environ;
	if (fstat(run->source, &status) == 0)
		app_files_add_open(&w->files, run->script, &status);
	if (w->binding->load == NULL) {
		dprintf(STDERR_FILENO, "exthost: %s has no apps\n", w->binding->name);
		binding_end(run, EXIT_FAILURE);
	}
	if (w->binding->load(&w->app) < 0)
		binding_end(run, EXIT_FAILURE);
	getrusage(RUSAGE_SELF, &w->used);
}

/* One order. false: there will be no other. */
static bool answer_one(struct app_worker *w)
{
	struct run_order order;
	char *memory = NULL;
	bool goes_on = true;

	if (w->binding->wait != NULL)
		w->binding->wait(&w->app, w->channel);
	if (run_order_receive(w->channel, &order, &memory) != 1)
		return false;
	if (order.force)
		app_files_accept(&w->files);
	else if (app_files_changed(&w->files)) {
		run_report_send(w->channel, RUN_STALE, 0, "", -1);
		fd_close(&order.body);
		fd_close(&order.output);
		free(memory);
		return true;
	}
	goes_on = answer(w, &order);
	free(memory);
	return goes_on;
}

/* What was used since the last time. */
static struct rusage take_usage(struct app_worker *w)
{
	struct rusage now, since;

	getrusage(RUSAGE_SELF, &now);
	since = now;
	timersub(&now.ru_utime, &w->used.ru_utime, &since.ru_utime);
	timersub(&now.ru_stime, &w->used.ru_stime, &since.ru_stime);
	w->used = now;
	return since;
}

static bool answer(struct app_worker *w, struct run_order *order)
{
	struct binding_reply reply = {.pipe = order->output};
	struct binding_call call = {.environment = order->environment,
	    .body = order->body,
	    .body_size = order->body_size,
	    .reply = &reply};
	struct rusage usage;
	int outcome;

	clock_gettime(CLOCK_REALTIME, &w->since);
	limit_cpu(w);
	outcome = w->binding->answer(&w->app, &call);
	if (w->left != UINT64_MAX && --w->left == 0)
		outcome |= BINDING_RETIRE;
	if (is_too_large(w))
		outcome |= BINDING_RETIRE;
	fd_close(&order->body);
	fd_close(&order->output);
	usage = take_usage(w);
	run_report_end(w->channel, RUN_ANSWERED, outcome, &usage);
	return (outcome & BINDING_RETIRE) == 0;
}

static bool is_too_large(const struct app_worker *w)
{
	char text[128];
	unsigned long long pages = 0;
	FD_OWNED int file = -1;
	ssize_t n;

	if (w->max_rss == UINT64_MAX)
		return false;
	file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	n = file >= 0 ? read(file, text, sizeof(text) - 1) : 0;
	text[n > 0 ? n : 0] = '\0';
	return sscanf(text, "%*u %llu", &pages) == 1 &&
	       pages * (unsigned long long)sysconf(_SC_PAGESIZE) > w->max_rss;
}

/* At so many seconds in all comes SIGXCPU, and the front sees to it that the request ends. */
static void limit_cpu(const struct app_worker *w)
{
	struct rlimit limit = {.rlim_max = RLIM_INFINITY};

	if (w->cpu == UINT64_MAX)
		return;
	limit.rlim_cur =
	    (rlim_t)(w->used.ru_utime.tv_sec + w->used.ru_stime.tv_sec + 1) + (rlim_t)w->cpu;
	setrlimit(RLIMIT_CPU, &limit);
}

static void leave(struct app_worker *w)
{
	if (w->binding->unload != NULL)
		w->binding->unload(&w->app);
	binding_end(w->app.run, EXIT_SUCCESS);
}

void binding_depends(struct binding_app *app, const char *path)
{
	struct app_worker *w = (struct app_worker *)app;

	if (strncmp(path, w->root, strlen(w->root)) == 0)
		app_files_add(&w->files, path, &w->since);
}
