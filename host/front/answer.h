/* The stages of a request once it is decoded: route, run or static content, reply, log. */
#ifndef EXTHOST_ANSWER_H
#define EXTHOST_ANSWER_H

#include "front/answer_shared.h"

#include <stdbool.h>

struct request;

/*
 * Answer a complete request. `prefix` is taken off its path; a request from the relay names its
 * script by path instead. true: the connection can be used again.
 */
bool answer_request(
    const struct answer_shared *shared, struct request *request, const char *prefix);

/* End one that was aborted before anything ran, as FastCGI (5.4) has it, and log it. */
void answer_aborted(
    const struct answer_shared *shared, struct request *request, const char *reason);

/* Refuse one with a page, and log why. */
void answer_refusal(
    const struct answer_shared *shared, struct request *request, int status, const char *reason);

#endif
