/* How a command fails. */
#ifndef EXTHOST_COMMAND_FAIL_H
#define EXTHOST_COMMAND_FAIL_H

/*
 * Print one line on standard error, "exthost: ...", and return `status` for the caller to return.
 */
int command_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
