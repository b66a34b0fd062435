/* Requests that need no run: static content, and metrics for Prometheus. */
#ifndef EXTHOST_ANSWER_FILE_H
#define EXTHOST_ANSWER_FILE_H

struct exchange;
struct status_sources;

/* Send the file that the route found, or 304. */
void answer_file(struct exchange *x);

/* Send the text of status_metrics. */
void answer_metrics(struct exchange *x, struct status_sources *sources);

#endif
