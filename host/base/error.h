/*
 * An error message of one line: operation, object, reason (`open /run/x.sock: Permission denied`).
 */
#ifndef EXTHOST_ERROR_H
#define EXTHOST_ERROR_H

struct error {
	char message[512];
};

/*
 * Fill *e with a message and return -1, so that a caller can write `return error_set(e, ...)`. A
 * message that is too long is cut. If e is NULL, the message is dropped.
 */
int error_set(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As error_set, with ": " and the text of errno after the message. errno is preserved. */
int error_errno(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prepend context to the message in *e: "context: message". Returns -1. */
int error_prefix(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
