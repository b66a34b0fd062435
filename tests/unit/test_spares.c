/* Who gets a request process that the template has forked: nobody waits while one is there. */
#include "unit.h"

#include "error.h"
#include "fd.h"
#include "request_process.h"
#include "spares.h"
#include "template.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TIMES 300

struct taker {
	struct spares *spares;
	atomic_bool done;
	int result;
	struct error e;
};

static void *take_one(void *argument)
{
	struct taker *t = argument;
	struct request_process p;

	t->result = spares_take(t->spares, 0, &p, &t->e);
	if (t->result == 0)
		request_process_release(&p);
	atomic_store(&t->done, true);
	return NULL;
}

/* As the template does it: an order comes with three descriptors, its answer is a process id. */
static void answer_order(int channel)
{
	struct template_order order;
	const struct template_answer answer = {.pid = getpid()};
	int fds[FD_PASS_MAX];

	assert_int_equal(fd_receive(channel, &order, sizeof(order), fds, 0), sizeof(order));
	for (int i = 0; i < REQUEST_PROCESS_ENDS; i++) {
		assert_true(fds[i] >= 0);
		close(fds[i]);
	}
	assert_true(fd_send(channel, &answer, sizeof(answer), NULL, 0) >= 0);
}

static void who_looks_how_many_there_are_keeps_none_from_who_waits(void **state)
{
	struct spares *spares = spares_create(1, 0);
	int ends[2];

	(void)state;
	assert_non_null(spares);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	spares_connect(spares, 0, ends[0]);
	for (int i = 0; i < TIMES; i++) {
		struct taker t = {.spares = spares};
		time_t end = time(NULL) + 5;
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, take_one, &t), 0);
		answer_order(ends[1]);
		while (!atomic_load(&t.done) && time(NULL) < end)
			spares_count(spares, 0);
		assert_true(atomic_load(&t.done));
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(t.result, 0);
	}
	spares_destroy(spares);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_looks_how_many_there_are_keeps_none_from_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
