/*
 * Of all that can be wrong with a run the first counts: a process that is killed for taking too
 * long did not crash.
 */
#include "request/outcome.h"

#include "base/clock.h"
#include "net/response.h"

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

void outcome_fail_client(struct outcome *o, bool aborted)
{
	if (aborted)
		outcome_fail(o, OUTCOME_ABORTED, 499, "the client aborted the request");
	else
		outcome_fail(o, OUTCOME_CLIENT, 499, "the client went away");
}

void outcome_fail_late(struct outcome *o, uint64_t timeout_s)
{
	outcome_fail(o, OUTCOME_TIMEOUT, 504, "longer than %llu s", (unsigned long long)timeout_s);
}

void outcome_judge_client(struct outcome *o, const struct response *r, uint64_t timeout_s)
{
	bool aborted = response_is_aborted(r);

	if (!aborted && !r->failed)
		return;
	if (!aborted && (r->late || (r->deadline != 0 && clock_now() >= r->deadline)))
		outcome_fail(o, OUTCOME_TIMEOUT, 504,
		    "longer than %llu s: the client takes no more", (unsigned long long)timeout_s);
	else
		outcome_fail_client(o, aborted);
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
