/* The stages in which a run is ended, with a child that tells which signals it got. Time is set. */
#include "base/clock.h"
#include "unit.h"

#include "ipc/escalation.h"
#include "ipc/run_channel.h"
#include "ipc/process_handle.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct subject {
	struct process_handle process;
	int heard; /* the number of each signal that the child has got */
};

static void be_the_run(int heard)
{
	sigset_t set;
	int number;
	char ready = 0;

	sigemptyset(&set);
	sigaddset(&set, RUN_STACK_SIGNAL);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	setpgid(0, 0);
	alarm(30);
	while (write(heard, &ready, 1) == 1 && sigwait(&set, &number) == 0)
		ready = (char)number;
	_exit(1);
}

static int hear(const struct subject *s)
{
	struct pollfd event = {.fd = s->heard, .events = POLLIN};
	char number = 0;

	assert_int_equal(poll(&event, 1, 10000), 1);
	return read(s->heard, &number, 1) == 1 ? number : -1;
}

static void begin(struct subject *s, struct escalation *end, uint64_t deadline)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	s->process.pid = fork();
	assert_true(s->process.pid >= 0);
	if (s->process.pid == 0)
		be_the_run(ends[1]);
	close(ends[1]);
	s->heard = ends[0];
	s->process.handle = (int)syscall(SYS_pidfd_open, s->process.pid, 0);
	assert_true(s->process.handle >= 0);
	assert_int_equal(hear(s), 0);
	escalation_init(end, &s->process, deadline);
}

/* The signal that it died of. */
static int died_of(struct subject *s)
{
	int status;

	assert_int_equal(waitpid(s->process.pid, &status, 0), s->process.pid);
	close(s->process.handle);
	close(s->heard);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void before_its_deadline_a_run_is_left_alone(void **state)
{
	struct subject s;
	struct escalation end;

	(void)state;
	begin(&s, &end, clock_now() + 60 * CLOCK_SECOND);
	assert_int_equal(escalation_step(&end), ESCALATION_GOES_ON);
	assert_in_range(escalation_timeout(&end), 1000, 60001);
	escalation_sweep(&end);
	assert_int_equal(died_of(&s), SIGKILL);
}

static void it_is_asked_then_termed_then_killed_and_killed_again(void **state)
{
	struct subject s;
	struct escalation end;

	(void)state;
	begin(&s, &end, clock_now());
	assert_int_equal(escalation_timeout(&end), 0);
	assert_int_equal(escalation_step(&end), ESCALATION_ASKED);
	assert_int_equal(hear(&s), RUN_STACK_SIGNAL);
	assert_int_equal(escalation_step(&end), ESCALATION_GOES_ON);
	assert_in_range(escalation_timeout(&end), 1, 1001);
	end.due = 0;
	assert_int_equal(escalation_step(&end), ESCALATION_TERMED);
	assert_int_equal(hear(&s), SIGTERM);
	assert_in_range(escalation_timeout(&end), 1, 2001);
	end.due = 0;
	assert_int_equal(escalation_step(&end), ESCALATION_KILLED);
	assert_int_equal(died_of(&s), SIGKILL);
	end.process = &(struct process_handle){.pid = 0, .handle = -1};
	end.due = 0;
	assert_int_equal(escalation_step(&end), ESCALATION_KILLED);
	assert_int_equal(end.kills, 2);
}

static void a_run_is_asked_once_and_termed_once(void **state)
{
	struct subject s;
	struct escalation end;

	(void)state;
	begin(&s, &end, clock_now() + 60 * CLOCK_SECOND);
	escalation_ask(&end);
	assert_int_equal(hear(&s), RUN_STACK_SIGNAL);
	escalation_ask(&end);
	escalation_begin(&end);
	assert_int_equal(hear(&s), SIGTERM);
	end.due = 1;
	escalation_begin(&end);
	escalation_ask(&end);
	assert_int_equal(end.stage, ESCALATION_TERMED);
	/* It has got no more time either. */
	assert_int_equal(end.due, 1);
	escalation_sweep(&end);
	/* Nothing was heard after the one SIGTERM. */
	assert_int_equal(hear(&s), -1);
	assert_int_equal(died_of(&s), SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(before_its_deadline_a_run_is_left_alone),
	    cmocka_unit_test(it_is_asked_then_termed_then_killed_and_killed_again),
	    cmocka_unit_test(a_run_is_asked_once_and_termed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
