/* What went wrong, in one line a person can act on: operation, object, reason. */
#ifndef EXTHOST_ERROR_H
#define EXTHOST_ERROR_H

struct error {
	char message[512];
};

/*
 * Fill *e with a message and return -1, so that a caller writes `return error_set(e, ...)`.
 * A message too long is cut. e may be NULL when nobody wants to know.
 */
int error_set(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, with ": " and the text of errno behind the message. errno itself is kept. */
int error_errno(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put more context in front of a message that is already there: "context: message". Returns -1. */
int error_prefix(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
