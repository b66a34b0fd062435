/* What a worker's report of its answer says of the worker: verdict.c. */
#include "run/verdict.h"

#include "binding.h"
#include "ipc/run_channel.h"
#include "request/exchange.h"
#include "run/run_state.h"

#include "unit.h"

/* An app worker reports that it has answered, with these flags, at this stage of its escalation. */
static enum run_state state_after(enum escalation_stage stage, int32_t flags)
{
	const struct run_report report = {.type = RUN_ANSWERED, .value = flags};
	struct exchange x = {0};
	struct run run = {.x = &x, .app = true, .end.stage = stage};

	verdict_take_answer(&run, &report);
	return run.state;
}

static void a_worker_that_has_answered_in_time_is_used_again(void **state)
{
	(void)state;
	assert_int_equal(state_after(ESCALATION_GOES_ON, 0), RUN_STATE_ALIVE);
	/* The stack was asked for, and the request ended before its last second. */
	assert_int_equal(state_after(ESCALATION_ASKED, 0), RUN_STATE_ALIVE);
}

/* The app has swallowed it, and may die of it at its next request. */
static void a_worker_that_has_answered_in_spite_of_sigterm_is_not_used_again(void **state)
{
	(void)state;
	assert_int_equal(state_after(ESCALATION_TERMED, 0), RUN_STATE_OVER);
	assert_int_equal(state_after(ESCALATION_KILLED, 0), RUN_STATE_OVER);
}

static void a_worker_that_retires_is_not_used_again(void **state)
{
	(void)state;
	assert_int_equal(state_after(ESCALATION_GOES_ON, BINDING_RETIRE), RUN_STATE_RETIRES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_worker_that_has_answered_in_time_is_used_again),
	    cmocka_unit_test(a_worker_that_has_answered_in_spite_of_sigterm_is_not_used_again),
	    cmocka_unit_test(a_worker_that_retires_is_not_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
