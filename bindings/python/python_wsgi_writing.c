/*
 * An app's threads and its reply. A thread that writes to the host does so without Python's lock, and may
 * still be at it when the request ends, for a client takes its time. What it holds, the call and the
 * descriptor behind it, is another request's a moment later. So one thread writes at a time, and a request
 * has not ended before that one has returned.
 */
#include "python_wsgi.h"

#include <errno.h>
#include <unistd.h>

void wsgi_writing_wait(const struct wsgi_reply *reply)
{
	while (reply->busy) {
		PyThreadState *released = PyEval_SaveThread();

		usleep(100);
		PyEval_RestoreThread(released);
	}
}

bool wsgi_writing_begin(struct wsgi_reply *reply, PyThreadState **released)
{
	wsgi_writing_wait(reply);
	reply->gone = reply->gone || reply->call == NULL;
	if (reply->gone)
		return false;
	reply->busy = true;
	*released = python_end_has_threads() ? PyEval_SaveThread() : NULL;
	return true;
}

void wsgi_writing_end(struct wsgi_reply *reply, PyThreadState *released)
{
	int reason = errno;

	if (released != NULL)
		PyEval_RestoreThread(released);
	reply->busy = false;
	errno = reason;
}
