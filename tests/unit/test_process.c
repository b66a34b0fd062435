/* process.h: the memory of a process, and how it has ended. */
#include "unit.h"

#include "base/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (8 << 20)

static void test_memory_grows_with_what_is_written(void **state)
{
	struct process_memory before, mapped, written;
	char *memory;

	(void)state;
	assert_int_equal(process_memory(0, &before), 0);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	assert_int_equal(process_memory(0, &mapped), 0);
	for (size_t i = 0; i < SIZE; i += 512)
		((volatile char *)memory)[i] = 1;
	assert_int_equal(process_memory(getpid(), &written), 0);
	assert_true(mapped.data >= before.data + SIZE);
	assert_true(written.resident >= mapped.resident + SIZE / 2);
	munmap(memory, SIZE);
}

static void test_a_process_that_is_gone_has_no_memory(void **state)
{
	struct process_memory memory;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(process_memory(child, &memory), -1);
	assert_int_equal(errno, ENOENT);
}

static int status_of(int status, int number)
{
	pid_t child = fork();
	int result;

	if (child == 0) {
		if (number != 0) {
			signal(number, SIG_DFL);
			raise(number);
		}
		_exit(status);
	}
	assert_int_equal(waitpid(child, &result, 0), child);
	return result;
}

static void test_an_end_is_described(void **state)
{
	char text[PROCESS_END_SIZE];
	int exited = status_of(3, 0), killed = status_of(0, SIGKILL);

	(void)state;
	process_describe_end(text, sizeof(text), exited);
	assert_string_equal(text, "exit status 3");
	process_describe_death(text, sizeof(text), exited);
	assert_string_equal(text, "exit status 3");
	process_describe_end(text, sizeof(text), killed);
	assert_string_equal(text, "signal 9 (Killed)");
	process_describe_death(text, sizeof(text), killed);
	assert_string_equal(text, "ended by signal 9 (Killed)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_memory_grows_with_what_is_written),
	    cmocka_unit_test(test_a_process_that_is_gone_has_no_memory),
	    cmocka_unit_test(test_an_end_is_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
