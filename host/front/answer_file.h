/* Answers that need no run: static content, and the figures for Prometheus. */
#ifndef EXTHOST_ANSWER_FILE_H
#define EXTHOST_ANSWER_FILE_H

struct exchange;
struct status_sources;

/* The file that the route found, or 304. */
void answer_file(struct exchange *x);

/* The text of status_metrics. */
void answer_metrics(struct exchange *x, struct status_sources *sources);

#endif
