/*
 * An app's threads and its reply. A thread that writes to the host does so without Python's lock, and may
 * still be at it when the request ends, for a client takes its time. What it holds, the call and the
 * descriptor behind it, is another request's a moment later. So one thread writes at a time, in the order in
 * which they came (a thread that writes again and again would else keep the others out), and a request has
 * not ended before the last one has returned.
 */
#include "wsgi/python_wsgi.h"

#include <errno.h>
#include <unistd.h>

static void begin_turn(struct wsgi_reply *reply)
{
	unsigned mine = reply->writers++;

	while (reply->turn != mine) {
		PyThreadState *released = PyEval_SaveThread();

		usleep(100);
		PyEval_RestoreThread(released);
	}
}

void wsgi_writing_wait(struct wsgi_reply *reply)
{
	begin_turn(reply);
	reply->turn++;
}

bool wsgi_writing_begin(struct wsgi_reply *reply, PyThreadState **released)
{
	begin_turn(reply);
	reply->gone = reply->gone || reply->call == NULL;
	if (reply->gone) {
		reply->turn++;
		return false;
	}
	*released = python_end_has_threads() ? PyEval_SaveThread() : NULL;
	return true;
}

void wsgi_writing_end(struct wsgi_reply *reply, PyThreadState *released)
{
	int reason = errno;

	if (released != NULL)
		PyEval_RestoreThread(released);
	reply->turn++;
	errno = reason;
}
