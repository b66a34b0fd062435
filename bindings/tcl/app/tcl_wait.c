/*
 * The event loop of an app worker.
 *
 * A threaded Tcl waits for events in another thread, which calls select(2) and wakes the first: two
 * switches for each event, and a thread in a process that may still be asked to fork. Tcl lets all
 * of this be replaced (Tcl_SetNotifier). So here the waiting thread itself calls poll(2), and
 * descriptors above 1023 do no harm either.
 *
 * So waiting for the next request is waiting for one event among others, and an app's timers,
 * channels with handlers and servers go on between two requests. If an app has none, the host waits
 * by itself.
 *
 * A C package may start threads, which then have handlers of their own and wake each other
 * (Tcl_AlertNotifier). Each thread has an eventfd for that.
 */
#include "app/tcl_wait.h"
#include "interpreter/tcl_include.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "host/base/fd.h"

struct handler {
	Tcl_FileProc *function;
	void *data;
	int ready; /* events to report: TCL_READABLE, TCL_WRITABLE, TCL_EXCEPTION */
	bool queued;
};

/*
 * The handlers of one thread. handlers and polled have the same order; polled has one more place,
 * for the alarm.
 */
struct notifier {
	struct handler *handlers;
	struct pollfd *polled;
	size_t count, capacity;
	int alarm;  /* eventfd: readable when another thread has woken this one */
	bool alone; /* tcl_wait runs; cleared when the app has neither a handler nor a timer */
	struct notifier *next;
};

struct event {
	Tcl_Event header;
	int descriptor;
};

static void *start_thread(void);
static void end_thread(void *notifier);
static void add_handler(int descriptor, int mask, Tcl_FileProc *function, void *data);
static void remove_handler(int descriptor);
static size_t find_handler(const struct notifier *n, int descriptor);
static int wait_for_event(const Tcl_Time *most);
static void queue_event(struct notifier *n, size_t i);
static int take_event(Tcl_Event *header, int flags);
static void alert(void *notifier);
static void set_timer(const Tcl_Time *time);
static void set_service_mode(int mode);
static void note_ready(void *data, int mask);

/*
 * The notifier of the app's thread. Tcl did not yet use this file when that thread started, so
 * start_thread never made it one.
 */
static struct notifier first = {.alarm = -1};
static _Thread_local struct notifier *own;

/* The notifiers of all other threads. */
static struct {
	pthread_mutex_t lock;
	struct notifier *list;
} others = {.lock = PTHREAD_MUTEX_INITIALIZER};

void tcl_wait_start(void)
{
	Tcl_NotifierProcs procs = {
	    .setTimerProc = set_timer,
	    .waitForEventProc = wait_for_event,
	    .createFileHandlerProc = add_handler,
	    .deleteFileHandlerProc = remove_handler,
	    .initNotifierProc = start_thread,
	    .finalizeNotifierProc = end_thread,
	    .alertNotifierProc = alert,
	    .serviceModeHookProc = set_service_mode,
	};

	own = &first;
	/* No other thread exists yet that could want to wake this one. */
	first.alarm = fd_move_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	Tcl_SetNotifier(&procs);
}

bool tcl_wait(int descriptor)
{
	bool ready = false;

	Tcl_CreateFileHandler(descriptor, TCL_READABLE, note_ready, &ready);
	first.alone = true;
	while (!ready && first.alone)
		Tcl_DoOneEvent(TCL_ALL_EVENTS);
	first.alone = false;
	Tcl_DeleteFileHandler(descriptor);
	return ready;
}

static void note_ready(void *data, int mask)
{
	bool *ready = data;

	(void)mask;
	*ready = true;
}

static void *start_thread(void)
{
	struct notifier *n = calloc(1, sizeof(*n));

	if (n == NULL)
		Tcl_Panic("unable to alloc %d bytes", (int)sizeof(*n));
	n->alarm = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	own = n;
	pthread_mutex_lock(&others.lock);
	n->next = others.list;
	others.list = n;
	pthread_mutex_unlock(&others.lock);
	return n;
}

/* Tcl calls this in the ending thread. For the app's thread its argument is Tcl's own. */
static void end_thread(void *notifier)
{
	struct notifier **link = &others.list;
	struct notifier *n = own;

	(void)notifier;
	if (n == NULL || n == &first)
		return;
	pthread_mutex_lock(&others.lock);
	while (*link != NULL && *link != n)
		link = &(*link)->next;
	if (*link != NULL)
		*link = n->next;
	pthread_mutex_unlock(&others.lock);
	if (n->alarm != -1)
		close(n->alarm);
	free(n->handlers);
	free(n->polled);
	free(n);
	own = NULL;
}

static void reserve(struct notifier *n)
{
	size_t capacity = n->capacity > 0 ? n->capacity * 2 : 8;

	if (n->count < n->capacity)
		return;
	n->handlers = realloc(n->handlers, capacity * sizeof(*n->handlers));
	n->polled = realloc(n->polled, (capacity + 1) * sizeof(*n->polled));
	if (n->handlers == NULL || n->polled == NULL)
		Tcl_Panic("unable to alloc %d handlers", (int)capacity);
	n->capacity = capacity;
}

static void add_handler(int descriptor, int mask, Tcl_FileProc *function, void *data)
{
	struct notifier *n = own;
	size_t i = find_handler(n, descriptor);

	if (i == n->count) {
		reserve(n);
		n->count++;
		n->handlers[i] = (struct handler){.ready = 0};
		n->polled[i].fd = descriptor;
	}
	n->handlers[i].function = function;
	n->handlers[i].data = data;
	n->polled[i].events = (short)(((mask & TCL_READABLE) != 0 ? POLLIN : 0) |
				      ((mask & TCL_WRITABLE) != 0 ? POLLOUT : 0) |
				      ((mask & TCL_EXCEPTION) != 0 ? POLLPRI : 0));
}

/* An event in the queue finds no handler then, and does nothing. */
static void remove_handler(int descriptor)
{
	struct notifier *n = own;
	size_t i = find_handler(n, descriptor);

	if (i == n->count)
		return;
	n->count--;
	n->handlers[i] = n->handlers[n->count];
	n->polled[i] = n->polled[n->count];
}

static size_t find_handler(const struct notifier *n, int descriptor)
{
	size_t i = 0;

	while (i < n->count && n->polled[i].fd != descriptor)
		i++;
	return i;
}

/* Returns 1 if Tcl must check its sources itself; 0 if events were queued, or the time is up. */
static int wait_for_event(const Tcl_Time *most)
{
	struct notifier *n = own;
	struct timespec time;
	eventfd_t ignored;

	if (n->alone && n->count == 1 && most == NULL && others.list == NULL) {
		n->alone = false;
		return 1;
	}
	if (most != NULL)
		time = (struct timespec){.tv_sec = most->sec, .tv_nsec = most->usec * 1000};
	reserve(n);
	n->polled[n->count] = (struct pollfd){.fd = n->alarm, .events = POLLIN};
	if (ppoll(n->polled, (nfds_t)n->count + 1, most != NULL ? &time : NULL, NULL) == -1)
		return errno == EINTR;
	if (n->polled[n->count].revents != 0)
		(void)!eventfd_read(n->alarm, &ignored);
	for (size_t i = 0; i < n->count; i++)
		if (n->polled[i].revents != 0)
			queue_event(n, i);
	return 0;
}

static void queue_event(struct notifier *n, size_t i)
{
	static const short readable = POLLIN | POLLHUP | POLLERR | POLLNVAL;
	static const short writable = POLLOUT | POLLHUP | POLLERR | POLLNVAL;
	short wanted = n->polled[i].events;
	short came = n->polled[i].revents;
	struct event *event;

	n->handlers[i].ready =
	    ((wanted & POLLIN) != 0 && (came & readable) != 0 ? TCL_READABLE : 0) |
	    ((wanted & POLLOUT) != 0 && (came & writable) != 0 ? TCL_WRITABLE : 0) |
	    ((wanted & came & POLLPRI) != 0 ? TCL_EXCEPTION : 0);
	if (n->handlers[i].ready == 0 || n->handlers[i].queued)
		return;
	n->handlers[i].queued = true;
	event = (struct event *)Tcl_Alloc(sizeof(*event));
	*event = (struct event){.header.proc = take_event, .descriptor = n->polled[i].fd};
	Tcl_QueueEvent(&event->header, TCL_QUEUE_TAIL);
}

/* Tcl frees the event when this returns 1. The descriptor may have another handler by now. */
static int take_event(Tcl_Event *header, int flags)
{
	const struct event *event = (const struct event *)header;
	struct notifier *n = own;
	size_t i = find_handler(n, event->descriptor);
	struct handler handler;

	if ((flags & TCL_FILE_EVENTS) == 0)
		return 0;
	if (i == n->count || !n->handlers[i].queued)
		return 1;
	handler = n->handlers[i];
	n->handlers[i].queued = false;
	n->handlers[i].ready = 0;
	if (handler.ready != 0)
		handler.function(handler.data, handler.ready);
	return 1;
}

/*
 * May be called in a signal handler, which finds the lock free as long as there is no other thread.
 */
static void alert(void *notifier)
{
	struct notifier *n = others.list;

	if (n != NULL) {
		pthread_mutex_lock(&others.lock);
		for (n = others.list; n != NULL && n != notifier; n = n->next)
			;
		if (n != NULL)
			(void)!eventfd_write(n->alarm, 1);
		pthread_mutex_unlock(&others.lock);
	}
	if (n == NULL)
		(void)!eventfd_write(first.alarm, 1);
}

/* This and set_service_mode are for programs with a main loop other than Tcl's. */
static void set_timer(const Tcl_Time *time)
{
	(void)time;
}

static void set_service_mode(int mode)
{
	(void)mode;
}
