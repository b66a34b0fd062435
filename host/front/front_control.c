/*
 * An administrator runs `exthost status` when something is wrong: every thread of the front may
 * then guard a run, and every connection may be open. So the control socket has an epoll and a
 * thread of its own that only accepts there, and takes no place from the clients. Each question is
 * answered by a thread of its own, since the answer may have to wait for a run's stack. A
 * connection that asks nothing is closed.
 */
#include "front/front.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "front/admission.h"
#include "net/access.h"
#include "net/listen.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUESTION_TIMEOUT_S 5 /* to send a question, and to read its answer */
#define QUESTIONS_MAX 16     /* at once: each takes a descriptor */
#define THREAD_STACK 1048576

/* A connection to the control socket. */
struct question {
	struct front *front;
	int fd;
};

static bool is_allowed(const struct front *f, const struct listener *l, int fd)
{
	struct error e = {""};

	if (access_allows(fd, l, NULL, &e))
		return true;
	log_message(f->setup->log, LEVEL_WARNING, "%s: refused: %s", l->address, e.message);
	return false;
}

static int start_thread(void *(*main)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int result;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	result = pthread_create(&thread, &attributes, main, argument);
	pthread_attr_destroy(&attributes);
	return result == 0 ? 0 : -1;
}

static void *answer(void *argument)
{
	struct question *q = argument;

	status_serve(&q->front->status, q->fd);
	close(q->fd);
	admission_give_back(q->front->control);
	free(q);
	return NULL;
}

/* In a thread of its own; if none can be started, right here. */
static void serve(struct front *f, int fd)
{
	const struct timeval patience = {.tv_sec = QUESTION_TIMEOUT_S};
	struct question *q = malloc(sizeof(*q));

	if (q == NULL) {
		close(fd);
		admission_give_back(f->control);
		return;
	}
	*q = (struct question){.front = f, .fd = fd};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (start_thread(answer, q) < 0)
		answer(q);
}

static void *accept_questions(void *argument)
{
	struct front *f = argument;

	for (;;) {
		const struct listener *l;
		struct epoll_event event;
		bool accepted = false;
		int fd = -1;

		if (epoll_wait(f->control_epoll, &event, 1, -1) < 1)
			continue;
		l = admission_listener(f->control, event.data.u64);
		if (admission_take(f->control)) {
			fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
			accepted = fd >= 0;
			if (accepted && is_allowed(f, l, fd)) {
				serve(f, fd);
			} else if (fd >= 0 || errno == EAGAIN || errno == ECONNABORTED) {
				fd_close(&fd);
				admission_give_back(f->control);
			} else {
				admission_pause(f->control);
			}
		}
		admission_next(f->control, event.data.u64, accepted);
	}
	return NULL;
}

int front_start_control(struct front *f, const struct listener *listeners, size_t count)
{
	f->control_epoll = epoll_create1(EPOLL_CLOEXEC);
	f->control = admission_create(f->control_epoll, 0, QUESTIONS_MAX);
	if (f->control_epoll < 0 || f->control == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (listeners[i].control && admission_add(f->control, &listeners[i]) < 0)
			return -1;
	return start_thread(accept_questions, f);
}
