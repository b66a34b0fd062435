/*
 * The report is built for each question from copies, so that no request waits for it. jansson
 * writes the JSON. The memory of a process is the resident size in /proc/PID/statm, which counts
 * pages that processes share in each of them.
 */
#include "front/status.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "binding.h"
#include "config/config.h"
#include "config/config_share.h"
#include "front/lanes.h"
#include "net/connection.h"
#include "pool/app_pool.h"
#include "run/spares.h"
#include "run/stats.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NANOSECONDS 1e9

/* 0: the process is gone. */
static json_int_t resident_kib(pid_t pid)
{
	struct process_memory memory;

	return process_memory(pid, &memory) == 0 ? (json_int_t)(memory.resident / 1024) : 0;
}

static double seconds_since(uint64_t then)
{
	return (double)(clock_now() - then) / NANOSECONDS;
}

static json_t *describe_process(const char *role, pid_t pid)
{
	return json_pack(
	    "{s:s, s:i, s:I}", "role", role, "pid", (int)pid, "memory_kib", resident_kib(pid));
}

static json_t *describe_template(struct status_sources *sources, int language, pid_t pid)
{
	json_t *process = describe_process("template", pid);

	json_object_set_new(process, "language", json_string(sources->bindings[language]->name));
	json_object_set_new(
	    process, "answers", json_boolean(!atomic_load(&sources->hung[language])));
	return process;
}

static json_t *list_processes(struct status_sources *sources)
{
	json_t *list = json_array();

	json_array_append_new(list, describe_process("master", getppid()));
	json_array_append_new(list, describe_process("front", getpid()));
	for (int i = 0; sources->bindings[i] != NULL; i++) {
		pid_t pid = atomic_load(&sources->templates[i]);

		if (pid > 0)
			json_array_append_new(list, describe_template(sources, i, pid));
	}
	return list;
}

void status_set_services(struct status_sources *sources, size_t count)
{
	pthread_mutex_lock(&sources->services_lock);
	sources->service_count = count < STATUS_SERVICES_MAX ? count : STATUS_SERVICES_MAX;
	pthread_mutex_unlock(&sources->services_lock);
}

void status_set_service(
    struct status_sources *sources, size_t index, pid_t pid, bool well, const char *text)
{
	if (index >= STATUS_SERVICES_MAX)
		return;
	pthread_mutex_lock(&sources->services_lock);
	sources->services[index].pid = pid;
	sources->services[index].healthy = well;
	snprintf(sources->services[index].text, sizeof(sources->services[index].text), "%s", text);
	pthread_mutex_unlock(&sources->services_lock);
}

static json_t *list_services(struct status_sources *sources)
{
	json_t *list = json_array();

	pthread_mutex_lock(&sources->services_lock);
	for (size_t i = 0; i < sources->service_count; i++) {
		const struct status_service *service = &sources->services[i];
		size_t size = strcspn(service->text, "\n");
		const char *state = service->text + size + (service->text[size] != '\0');

		json_array_append_new(
		    list, json_pack("{s:s%, s:s, s:b, s:i, s:I}", "name", service->text, size,
			      "state", state, "well", (int)service->healthy, "pid",
			      (int)service->pid, "memory_kib",
			      (json_int_t)(service->pid > 0 ? resident_kib(service->pid) : 0)));
	}
	pthread_mutex_unlock(&sources->services_lock);
	return list;
}

static json_t *list_spares(struct status_sources *sources)
{
	json_t *object = json_object();

	for (int i = 0; sources->bindings[i] != NULL; i++)
		json_object_set_new(object, sources->bindings[i]->name,
		    json_integer((json_int_t)spares_count(sources->spares, i)));
	return object;
}

/* Names and users are a client's bytes: if they are not UTF-8, "?" is shown. */
static json_t *text(const char *bytes)
{
	json_t *string = json_string(bytes);

	return string != NULL ? string : json_string("?");
}

static json_t *list_runs(struct status_sources *sources)
{
	static const char *const states[] = {"waits", "runs", "ends"};
	json_t *list = json_array();
	size_t count;
	struct stats_run *runs = stats_list_runs(sources->stats, &count);

	for (size_t i = 0; i < count; i++)
		json_array_append_new(
		    list, json_pack("{s:s, s:o, s:s, s:f, s:i, s:o, s:I}", "id", runs[i].id,
			      "extension", text(runs[i].extension), "state", states[runs[i].state],
			      "seconds", seconds_since(runs[i].since), "pid", runs[i].pid, "user",
			      text(runs[i].user), "memory_kib",
			      (json_int_t)(runs[i].pid > 0 ? resident_kib(runs[i].pid) : 0)));
	free(runs);
	return list;
}

static double milliseconds(uint64_t nanoseconds)
{
	return (double)nanoseconds / 1e6;
}

static json_t *describe_extension(const struct stats_extension *x)
{
	json_t *object = json_pack("{s:o, s:I, s:{s:I, s:I, s:I, s:I}, s:f, s:f, s:f, s:f, s:I}",
	    "name", text(x->name), "requests", (json_int_t)stats_requests(x), "answers", "2xx",
	    (json_int_t)x->answers[2], "3xx", (json_int_t)x->answers[3], "4xx",
	    (json_int_t)x->answers[4], "5xx", (json_int_t)x->answers[5], "p50_ms",
	    milliseconds(x->p50), "p95_ms", milliseconds(x->p95), "p99_ms", milliseconds(x->p99),
	    "cpu_ms", (double)x->cpu / 1e3, "peak_kib", (json_int_t)x->peak);

	if (x->error[0] != '\0') {
		json_object_set_new(object, "last_error", text(x->error));
		json_object_set_new(object, "last_error_time", json_integer(x->error_time));
	}
	return object;
}

static json_t *list_extensions(struct status_sources *sources)
{
	json_t *list = json_array();
	size_t count;
	struct stats_extension *extensions = stats_list_extensions(sources->stats, &count);

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, describe_extension(&extensions[i]));
	free(extensions);
	return list;
}

static json_t *list_apps(struct status_sources *sources)
{
	json_t *list = json_array();
	size_t count;
	struct app_report *apps = app_pool_list(sources->apps, &count);

	for (size_t i = 0; i < count; i++) {
		json_t *app = json_pack("{s:o, s:I, s:I, s:I, s:I}", "name", text(apps[i].name),
		    "idle", (json_int_t)apps[i].idle, "busy", (json_int_t)apps[i].busy, "loading",
		    (json_int_t)apps[i].loading, "loads", (json_int_t)apps[i].loads);

		if (apps[i].serves) {
			json_object_set_new(
			    app, "requests", json_integer((json_int_t)apps[i].requests));
			json_object_set_new(app, "5xx", json_integer((json_int_t)apps[i].failures));
			json_object_set_new(app, "lost", json_integer((json_int_t)apps[i].lost));
		}
		if (apps[i].error[0] != '\0') {
			json_object_set_new(app, "error", text(apps[i].error));
			json_object_set_new(app, "error_time", json_integer(apps[i].error_time));
		}
		json_array_append_new(list, app);
	}
	free(apps);
	return list;
}

static int take_text(const char *bytes, size_t size, void *out)
{
	return buffer_append(out, bytes, size);
}

static int write_json(json_t *object, struct buffer *out)
{
	int result = object != NULL ? json_dump_callback(object, take_text, out, JSON_COMPACT) : -1;

	json_decref(object);
	return result < 0 ? -1 : buffer_append(out, "\n", 1);
}

static json_t *describe_queue(struct status_sources *sources, const struct config *config)
{
	size_t running, waiting;

	lanes_count(sources->lanes, &running, &waiting);
	return json_pack("{s:I, s:I, s:I, s:I}", "running", (json_int_t)running, "concurrency",
	    (json_int_t)config->concurrency, "waiting", (json_int_t)waiting, "most",
	    (json_int_t)config->queue);
}

static json_t *describe_connections(struct status_sources *sources, const struct config *config)
{
	size_t open, parked;

	connections_count(sources->connections, &open, &parked);
	return json_pack("{s:I, s:I, s:I}", "open", (json_int_t)open, "idle", (json_int_t)parked,
	    "most", (json_int_t)config->max_connections);
}

int status_json(struct status_sources *sources, struct buffer *out)
{
	const struct config *config;
	struct config_held *held = config_hold(sources->configs, &config);
	json_t *object = json_pack("{s:s, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
	    EXTHOST_VERSION, "root", text(config->root), "seconds", seconds_since(sources->began),
	    "processes", list_processes(sources), "spares", list_spares(sources), "services",
	    list_services(sources), "runs", list_runs(sources), "queue",
	    describe_queue(sources, config), "connections", describe_connections(sources, config),
	    "extensions", list_extensions(sources));

	config_let_go(sources->configs, held);
	json_object_set_new(object, "apps", list_apps(sources));
	return write_json(object, out);
}

static void serve_stack(struct status_sources *sources, const char *id, struct buffer *out)
{
	struct buffer stack = {0};
	const char *reason = "out of memory";
	const char *found = NULL;

	if (stats_ask(sources->stats, id, &stack, &reason) == 0)
		found = buffer_string(&stack);
	write_json(found != NULL ? json_pack("{s:o}", "stack", text(found))
				 : json_pack("{s:s}", "error", reason),
	    out);
	buffer_release(&stack);
}

void status_serve(struct status_sources *sources, int fd)
{
	char line[128] = "";
	size_t have = 0;
	ssize_t n = 1;
	struct buffer out = {0};

	while (n > 0 && have < sizeof(line) - 1 && memchr(line, '\n', have) == NULL) {
		n = recv(fd, line + have, sizeof(line) - 1 - have, 0);
		have += n > 0 ? (size_t)n : 0;
	}
	line[have] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	if (strcmp(line, "status") == 0)
		status_json(sources, &out);
	else if (strncmp(line, "stack ", 6) == 0)
		serve_stack(sources, line + 6, &out);
	else
		write_json(json_pack("{s:s}", "error", "unknown question"), &out);
	fd_write_all(fd, out.data, out.size);
	buffer_release(&out);
}
