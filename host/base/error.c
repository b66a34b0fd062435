/*
 * Errors are values: a function that can fail returns -1 and fills the caller's struct error. Only
 * the top of a process prints a message and exits, so each message is printed once, by the code
 * that knows its reader.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append(struct error *e, size_t at, const char *text)
{
	if (at < sizeof(e->message))
		snprintf(e->message + at, sizeof(e->message) - at, "%s", text);
}

int error_set(struct error *e, const char *format, ...)
{
	va_list arguments;

	if (e == NULL)
		return -1;
	va_start(arguments, format);
	vsnprintf(e->message, sizeof(e->message), format, arguments);
	va_end(arguments);
	return -1;
}

int error_errno(struct error *e, const char *format, ...)
{
	int saved = errno;
	va_list arguments;

	if (e == NULL)
		return -1;
	va_start(arguments, format);
	vsnprintf(e->message, sizeof(e->message), format, arguments);
	va_end(arguments);
	append(e, strlen(e->message), ": ");
	append(e, strlen(e->message), strerror(saved));
	errno = saved;
	return -1;
}

int error_prefix(struct error *e, const char *format, ...)
{
	char old[sizeof(e->message)];
	va_list arguments;

	if (e == NULL)
		return -1;
	memcpy(old, e->message, sizeof(old));
	va_start(arguments, format);
	vsnprintf(e->message, sizeof(e->message), format, arguments);
	va_end(arguments);
	append(e, strlen(e->message), ": ");
	append(e, strlen(e->message), old);
	return -1;
}
