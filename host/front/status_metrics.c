/* The state of the host in the text format of Prometheus, version 0.0.4. */
#include "front/status.h"

#include "front/lanes.h"
#include "net/connection.h"
#include "pool/app_pool.h"
#include "run/stats.h"

#include <stdio.h>
#include <stdlib.h>

#define NANOSECONDS 1e9

/* A label's value: backslash, quote and line feed are escaped. */
static void put_label(struct buffer *out, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\n') {
			buffer_append(out, "\\n", 2);
			continue;
		}
		if (*value == '"' || *value == '\\')
			buffer_append(out, "\\", 1);
		buffer_append(out, value, 1);
	}
}

static void put_family(struct buffer *out, const char *name, const char *type, const char *help)
{
	buffer_printf(out, "# HELP exthost_%s %s\n# TYPE exthost_%s %s\n", name, help, name, type);
}

static void put_labelled(struct buffer *out, const char *name, const char *label, const char *of,
    const char *more, double value)
{
	buffer_printf(out, "exthost_%s{%s=\"", name, label);
	put_label(out, of);
	buffer_printf(out, "\"%s} %.9g\n", more, value);
}

static void put_sample(
    struct buffer *out, const char *name, const char *extension, const char *more, double value)
{
	put_labelled(out, name, "extension", extension, more, value);
}

static void put_gauge(struct buffer *out, const char *name, const char *help, size_t value)
{
	put_family(out, name, "gauge", help);
	buffer_printf(out, "exthost_%s %zu\n", name, value);
}

static void put_requests(struct buffer *out, const struct stats_extension *list, size_t count)
{
	static const char *const codes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
	char more[32];

	put_family(out, "requests_total", "counter", "Requests answered, by extension and status.");
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < sizeof(codes) / sizeof(codes[0]); n++) {
			snprintf(more, sizeof(more), ",code=\"%s\"", codes[n]);
			if (list[i].answers[n] > 0)
				put_sample(out, "requests_total", list[i].name, more,
				    (double)list[i].answers[n]);
		}
	}
}

static void put_times(struct buffer *out, const struct stats_extension *list, size_t count)
{
	put_family(out, "request_seconds", "summary", "Time that requests took.");
	for (size_t i = 0; i < count; i++) {
		const struct stats_extension *x = &list[i];

		put_sample(out, "request_seconds", x->name, ",quantile=\"0.5\"",
		    (double)x->p50 / NANOSECONDS);
		put_sample(out, "request_seconds", x->name, ",quantile=\"0.95\"",
		    (double)x->p95 / NANOSECONDS);
		put_sample(out, "request_seconds", x->name, ",quantile=\"0.99\"",
		    (double)x->p99 / NANOSECONDS);
		put_sample(out, "request_seconds_sum", x->name, "", (double)x->time / NANOSECONDS);
		put_sample(out, "request_seconds_count", x->name, "", (double)stats_requests(x));
	}
	put_family(out, "cpu_seconds_total", "counter", "Processor time of runs.");
	for (size_t i = 0; i < count; i++)
		put_sample(out, "cpu_seconds_total", list[i].name, "", (double)list[i].cpu / 1e6);
	put_family(out, "peak_memory_bytes", "gauge", "Peak memory of a run.");
	for (size_t i = 0; i < count; i++)
		put_sample(out, "peak_memory_bytes", list[i].name, "", (double)list[i].peak * 1024);
}

static void put_apps(struct buffer *out, const struct app_report *list, size_t count)
{
	put_family(out, "app_workers", "gauge", "App workers, by app and state.");
	for (size_t i = 0; i < count; i++) {
		const char *name = list[i].name;

		put_labelled(
		    out, "app_workers", "app", name, ",state=\"idle\"", (double)list[i].idle);
		put_labelled(
		    out, "app_workers", "app", name, ",state=\"busy\"", (double)list[i].busy);
		put_labelled(
		    out, "app_workers", "app", name, ",state=\"loading\"", (double)list[i].loading);
	}
	put_family(out, "app_loads_total", "counter", "Loads of an app.");
	for (size_t i = 0; i < count; i++)
		put_labelled(
		    out, "app_loads_total", "app", list[i].name, "", (double)list[i].loads);
	put_family(out, "app_requests_total", "counter",
	    "Requests answered by apps with sockets of their own, by status.");
	for (size_t i = 0; i < count; i++) {
		const struct app_report *a = &list[i];

		if (!a->serves)
			continue;
		put_labelled(out, "app_requests_total", "app", a->name, ",code=\"5xx\"",
		    (double)a->failures);
		put_labelled(out, "app_requests_total", "app", a->name, ",code=\"other\"",
		    (double)(a->requests - a->failures));
	}
	put_family(out, "app_connections_lost_total", "counter",
	    "Connections to apps with sockets of their own that no worker could take.");
	for (size_t i = 0; i < count; i++)
		if (list[i].serves)
			put_labelled(out, "app_connections_lost_total", "app", list[i].name, "",
			    (double)list[i].lost);
	put_family(out, "app_refused", "gauge", "1 if the app, changed, does not load.");
	for (size_t i = 0; i < count; i++)
		put_labelled(out, "app_refused", "app", list[i].name, "",
		    list[i].error[0] != '\0' ? 1.0 : 0.0);
}

int status_metrics(struct status_sources *sources, struct buffer *out)
{
	size_t count, app_count, running, waiting, open, parked;
	struct stats_extension *list = stats_list_extensions(sources->stats, &count);
	struct app_report *apps = app_pool_list(sources->apps, &app_count);

	lanes_count(sources->lanes, &running, &waiting);
	connections_count(sources->connections, &open, &parked);
	put_gauge(out, "running", "Runs in progress.", running);
	put_gauge(out, "waiting", "Requests that wait for a run.", waiting);
	put_gauge(out, "connections", "Open connections.", open);
	put_requests(out, list, count);
	put_times(out, list, count);
	put_apps(out, apps, app_count);
	free(list);
	free(apps);
	return buffer_string(out) != NULL ? 0 : -1;
}
