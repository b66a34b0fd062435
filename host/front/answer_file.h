/* Answers that need no run: static content, and the figures for Prometheus. */
#ifndef EXTHOST_ANSWER_FILE_H
#define EXTHOST_ANSWER_FILE_H

struct answer_shared;
struct request;
struct route;

/* The file that the route found, or 304. */
void answer_file(
    const struct answer_shared *shared, struct request *request, const struct route *route);

/* The text of status_metrics. 0, or -1: no memory, and nothing is answered. */
int answer_metrics(const struct answer_shared *shared, struct request *request);

#endif
