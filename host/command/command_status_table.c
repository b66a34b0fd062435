/*
 * The table of `exthost status`: 80 columns wide; names and texts that are longer are cut or
 * wrapped.
 */
#include "command/command_status_table.h"

#include "base/buffer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WIDTH 80

static const char *string_of(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value != NULL ? value : "";
}

static long long number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static double real_of(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

/* "3.2 s", "41 min", "5 h", "12 d" */
static const char *duration(double seconds, char text[16])
{
	if (seconds < 100)
		snprintf(text, 16, "%.1f s", seconds);
	else if (seconds < 6000)
		snprintf(text, 16, "%.0f min", seconds / 60);
	else if (seconds < 360000)
		snprintf(text, 16, "%.0f h", seconds / 3600);
	else
		snprintf(text, 16, "%.0f d", seconds / 86400);
	return text;
}

const char *status_clean(struct buffer *out, const char *text)
{
	out->size = 0;
	for (; *text != '\0'; text++) {
		if (((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') ||
		    *text == 0x7f)
			buffer_printf(out, "\\x%02x", (unsigned)*text);
		else
			buffer_append(out, text, 1);
	}
	return buffer_string(out);
}

/* Print the text, or its end if it is longer than `most`. */
static void print_end(const char *text, int most)
{
	int size = (int)strlen(text);

	if (size <= most)
		printf("%s", text);
	else
		printf("..%s", text + size - most + 2);
}

static void print_column(const char *text, int width)
{
	print_end(text, width);
	if ((int)strlen(text) < width)
		printf("%*s", width - (int)strlen(text), "");
}

/* In seven columns: "1.616", "30012", "86400 s" */
static void print_milliseconds(double ms)
{
	if (ms < 9999)
		printf(" %7.4g", ms);
	else if (ms < 999999)
		printf(" %7.0f", ms);
	else
		printf(" %5.0f s", ms / 1000);
}

/*
 * The size of the first line of the text when it is wrapped at `most` columns: at a blank, if there
 * is one.
 */
static size_t line_size(const char *text, size_t most)
{
	size_t size = strcspn(text, "\n");

	if (size <= most)
		return size;
	for (size_t n = most; n > 0; n--)
		if (text[n] == ' ')
			return n;
	return most;
}

static void print_error(const char *label, const char *text)
{
	const int indent = (int)strlen(label);
	struct buffer shown = {0};
	const char *rest = status_clean(&shown, text);
	const char *before = label;

	while (rest != NULL && *rest != '\0') {
		size_t size = line_size(rest, (size_t)(WIDTH - indent));

		printf("%*s%.*s\n", indent, before, (int)size, rest);
		before = "";
		rest += size;
		rest += strspn(rest, " \n");
	}
	buffer_release(&shown);
}

static void print_head(const json_t *status)
{
	const json_t *queue = json_object_get(status, "queue");
	const json_t *connections = json_object_get(status, "connections");
	const char *version = string_of(status, "version");
	char time[16];
	int rest;

	duration(real_of(status, "seconds"), time);
	rest = (int)(strlen("exthost , serving , for ") + strlen(version) + strlen(time));
	printf("exthost %s, serving ", version);
	print_end(string_of(status, "root"), WIDTH - rest);
	printf(", for %s\n", time);
	printf("%lld of %lld runs, %lld of %lld waiting, %lld of %lld connections (%lld idle)\n\n",
	    number_of(queue, "running"), number_of(queue, "concurrency"),
	    number_of(queue, "waiting"), number_of(queue, "most"), number_of(connections, "open"),
	    number_of(connections, "most"), number_of(connections, "idle"));
}

static void print_processes(const json_t *status)
{
	const json_t *spares = json_object_get(status, "spares");
	const json_t *process;
	size_t i;

	printf("%-20s %8s %10s %7s\n", "process", "pid", "memory", "spares");
	json_array_foreach (json_object_get(status, "services"), i, process) {
		char name[64];

		snprintf(name, sizeof(name), "service %.20s", string_of(process, "name"));
		printf("%-20s %8lld %6.1f MiB  %.36s\n", name, number_of(process, "pid"),
		    (double)number_of(process, "memory_kib") / 1024, string_of(process, "state"));
	}
	json_array_foreach (json_object_get(status, "processes"), i, process) {
		const char *language = string_of(process, "language");
		char name[64];

		snprintf(name, sizeof(name), "%s%s%s", string_of(process, "role"),
		    language[0] != '\0' ? " " : "", language);
		printf("%-20s %8lld %6.1f MiB", name, number_of(process, "pid"),
		    (double)number_of(process, "memory_kib") / 1024);
		if (language[0] != '\0')
			printf(" %7lld", number_of(spares, language));
		printf("\n");
	}
}

static void print_runs(const json_t *status)
{
	const json_t *runs = json_object_get(status, "runs");
	const json_t *run;
	char time[16];
	size_t i;

	if (json_array_size(runs) == 0)
		return;
	printf("\n%-17s%-26s %-6s %8s %8s %8s\n", "request", "extension", "state", "since", "pid",
	    "memory");
	json_array_foreach (runs, i, run) {
		printf("%-17s", string_of(run, "id"));
		print_column(string_of(run, "extension"), 26);
		printf(
		    " %-6s %8s", string_of(run, "state"), duration(real_of(run, "seconds"), time));
		if (number_of(run, "pid") > 0)
			printf(" %8lld %4.1f MiB", number_of(run, "pid"),
			    (double)number_of(run, "memory_kib") / 1024);
		printf("\n");
	}
}

static void print_extensions(const json_t *status)
{
	const json_t *extension;
	size_t i;

	printf("\n%-24s %8s %6s %6s %7s %7s %7s %6s\n", "extension", "requests", "4xx", "5xx",
	    "p50 ms", "p95 ms", "p99 ms", "MiB");
	json_array_foreach (json_object_get(status, "extensions"), i, extension) {
		const json_t *answers = json_object_get(extension, "answers");
		const char *name = string_of(extension, "name");

		print_column(name[0] != '\0' ? name : "(none)", 24);
		printf(" %8lld %6lld %6lld", number_of(extension, "requests"),
		    number_of(answers, "4xx"), number_of(answers, "5xx"));
		print_milliseconds(real_of(extension, "p50_ms"));
		print_milliseconds(real_of(extension, "p95_ms"));
		print_milliseconds(real_of(extension, "p99_ms"));
		printf(" %6.1f\n", (double)number_of(extension, "peak_kib") / 1024);
		print_error("  last error: ", string_of(extension, "last_error"));
	}
}

/* An app with sockets of its own has two columns more: requests answered, and those with 5xx. */
static void print_app(const json_t *app)
{
	char since[16], label[64];

	print_column(string_of(app, "name"), 32);
	printf(" %6lld %6lld %7lld %6lld", number_of(app, "idle"), number_of(app, "busy"),
	    number_of(app, "loading"), number_of(app, "loads"));
	if (json_object_get(app, "requests") != NULL)
		printf(" %9lld %7lld", number_of(app, "requests"), number_of(app, "5xx"));
	printf("\n");
	if (number_of(app, "lost") > 0)
		printf("  %lld connections closed: no worker could take them\n",
		    number_of(app, "lost"));
	duration((double)(time(NULL) - number_of(app, "error_time")), since);
	snprintf(label, sizeof(label), "  does not load, for %s: ", since);
	print_error(label, string_of(app, "error"));
}

static void print_apps(const json_t *status)
{
	const json_t *apps = json_object_get(status, "apps");
	const json_t *app;
	size_t i;

	if (json_array_size(apps) == 0)
		return;
	printf("\n%-32s %6s %6s %7s %6s %9s %7s\n", "app", "idle", "busy", "loading", "loads",
	    "requests", "5xx");
	json_array_foreach (apps, i, app)
		print_app(app);
}

void status_table_print(const json_t *status)
{
	print_head(status);
	print_processes(status);
	print_runs(status);
	print_apps(status);
	print_extensions(status);
}
