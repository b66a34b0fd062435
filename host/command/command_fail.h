/* A command that cannot do what it was asked to do. */
#ifndef EXTHOST_COMMAND_FAIL_H
#define EXTHOST_COMMAND_FAIL_H

/* Print one line on standard error, "exthost: ...". Returns the status, to be returned at once. */
int command_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
