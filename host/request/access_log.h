/* One line in the log for each request. */
#ifndef EXTHOST_ACCESS_LOG_H
#define EXTHOST_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>

struct log;
struct outcome;
struct request;

/* `quiet`: only if the request failed, or its reply was not sent as the extension wrote it. */
void access_log_write(const struct log *log, bool quiet, const struct request *request,
    const struct outcome *outcome);

/* What that line says was asked for: a URL path with its query, NUL-terminated; "-": nothing. */
void access_log_path(const struct request *request, char *path, size_t size);

#endif
