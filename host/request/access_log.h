/* The last stage: one line in the log, and the request is counted. */
#ifndef EXTHOST_ACCESS_LOG_H
#define EXTHOST_ACCESS_LOG_H

struct answer_shared;
struct request;
struct run_result;

/* `result` is NULL if nothing ran; `reason`, why it failed, if it did. */
void access_log_write(const struct answer_shared *shared, const struct request *request,
    const struct run_result *result, const char *reason);

#endif
