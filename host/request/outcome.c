/*
 * Of all that can be wrong with a run the first counts: a process that is killed for taking too
 * long did not crash.
 */
#include "request/outcome.h"

#include <stdarg.h>
#include <stdio.h>

void outcome_begin(struct outcome *o)
{
	*o = (struct outcome){.ran = true, .whole = true, .why = OUTCOME_EXITED};
}

void outcome_fail(struct outcome *o, enum outcome_why why, int status, const char *format, ...)
{
	va_list arguments;

	if (!o->whole)
		return;
	o->whole = false;
	o->why = why;
	o->status = status;
	va_start(arguments, format);
	vsnprintf(o->reason, sizeof(o->reason), format, arguments);
	va_end(arguments);
}

const char *outcome_name(enum outcome_why why)
{
	static const char *const names[] = {
	    "exit", "signal", "timeout", "cpu", "memory", "reply", "client", "abort", "host"};

	return names[why];
}

void outcome_release(struct outcome *o)
{
	buffer_release(&o->errors);
}
