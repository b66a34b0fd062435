/* Which children are taken for what a run has left behind, and killed. */
#include "unit.h"

#include "base/fd.h"
#include "direct/orphan_grace.h"
#include "master/orphans.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_known(const void *known, pid_t group)
{
	return *(const pid_t *)known == group;
}

/* A child in a process group of its own, or in ours. */
static pid_t fork_child(bool own_group)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (own_group)
		assert_int_equal(setpgid(pid, pid), 0);
	return pid;
}

/* Another program in a group of its own, with this environment. */
static pid_t start_program(const char *variable)
{
	char *const arguments[] = {(char *)"sleep", (char *)"60", NULL};
	char *const environment[] = {(char *)"A=1", (char *)variable, NULL};
	int started[2];
	pid_t pid;
	char none;

	assert_int_equal(pipe2(started, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		execve("/bin/sleep", arguments, environment);
		_exit(127);
	}
	close(started[1]);
	/* Its end is closed by the exec. */
	assert_int_equal(read(started[0], &none, 1), 0);
	close(started[0]);
	return pid;
}

/* Whether the process was killed. If not, it is ended here. */
static bool was_killed(pid_t pid)
{
	int status;
	bool killed = false;

	/* A killed process may take a moment to die; a process that was spared dies of SIGTERM. */
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	return killed;
}

static void what_was_forked_into_a_group_of_its_own_is_killed(void **state)
{
	pid_t none = 0, pid = fork_child(true);

	(void)state;
	orphans_kill(is_known, &none, &(struct orphan_grace){0});
	assert_true(was_killed(pid));
}

static void a_program_with_the_environment_of_cgi_is_killed(void **state)
{
	pid_t none = 0, pid = start_program("GATEWAY_INTERFACE=CGI/1.1");

	(void)state;
	orphans_kill(is_known, &none, &(struct orphan_grace){0});
	assert_true(was_killed(pid));
}

static void another_program_is_let_be(void **state)
{
	pid_t none = 0, pid = start_program("XGATEWAY_INTERFACE=CGI/1.1");

	(void)state;
	orphans_kill(is_known, &none, &(struct orphan_grace){0});
	assert_false(was_killed(pid));
}

static void what_belongs_to_somebody_is_let_be(void **state)
{
	pid_t first = fork_child(true), second = start_program("GATEWAY_INTERFACE=CGI/1.1");

	(void)state;
	orphans_kill(is_known, &first, &(struct orphan_grace){0});
	assert_false(was_killed(first));
	assert_true(was_killed(second));
}

static void the_hosts_own_processes_are_let_be(void **state)
{
	pid_t none = 0, pid = fork_child(false);

	(void)state;
	orphans_kill(is_known, &none, &(struct orphan_grace){0});
	assert_false(was_killed(pid));
}

static void all_of_many_are_killed(void **state)
{
	pid_t none = 0, pids[20];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(pids); i++)
		pids[i] = fork_child(true);
	orphans_kill(is_known, &none, &(struct orphan_grace){0});
	for (size_t i = 0; i < UNIT_COUNT(pids); i++)
		assert_true(was_killed(pids[i]));
}

static void ignore(int number)
{
	(void)number;
}

static void a_direct_worker_that_answers_gets_a_moment_and_no_more(void **state)
{
	struct orphan_grace grace = {0};
	pid_t none = 0, pid;
	uint64_t end;

	(void)state;
	signal(ORPHAN_SIGNAL, ignore);
	pid = fork_child(true);
	signal(ORPHAN_SIGNAL, SIG_DFL);
	assert_int_equal(orphan_grace_left(&grace), -1);
	orphans_kill(is_known, &none, &grace);
	assert_in_range(orphan_grace_left(&grace), 0, 500);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	/* Another round within the moment makes it no longer. */
	end = grace.end;
	orphans_kill(is_known, &none, &grace);
	assert_int_equal(grace.end, end);
	grace.end = 1; /* long ago */
	assert_int_equal(orphan_grace_left(&grace), 0);
	orphans_kill(is_known, &none, &grace);
	assert_int_equal(orphan_grace_left(&grace), -1);
	assert_true(was_killed(pid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_direct_worker_that_answers_gets_a_moment_and_no_more),
	    cmocka_unit_test(what_was_forked_into_a_group_of_its_own_is_killed),
	    cmocka_unit_test(a_program_with_the_environment_of_cgi_is_killed),
	    cmocka_unit_test(another_program_is_let_be),
	    cmocka_unit_test(what_belongs_to_somebody_is_let_be),
	    cmocka_unit_test(the_hosts_own_processes_are_let_be),
	    cmocka_unit_test(all_of_many_are_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
