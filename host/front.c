/*
 * Threads share one epoll, in which are the listeners and every parked connection. A thread takes
 * one event, and what follows is its own affair until the connection is parked again or closed:
 * serve_connection below is the way of a request down the page.
 *
 * There are as many threads as there is work, up to --max-connections: whoever goes to serve while
 * no other thread waits starts one more. They are cheap guards; the work is done in request
 * processes.
 */
#include "front.h"

#include "accepting.h"
#include "access.h"
#include "answer.h"
#include "config.h"
#include "connection.h"
#include "error.h"
#include "fd.h"
#include "language.h"
#include "lanes.h"
#include "listen.h"
#include "log.h"
#include "noticed.h"
#include "request.h"
#include "script.h"
#include "spares.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTENER_TAG 0xffffffff00000000 /* and the listener's index: no connection's generation */
#define HEAD_DEADLINE 10                /* seconds for the head of a request, once it has begun */
#define CLIENT_TIMEOUT 60               /* seconds in which a client takes or sends something */
#define HEAD_OVERHEAD 131072            /* bytes of record headers and padding in a head */
#define FIRST_THREADS 2
#define THREAD_STACK 1048576
#define SECOND 1000000000ULL

struct front {
	const struct front_setup *setup;
	struct answer_shared shared;
	struct connections *connections;
	struct accepting *accepting;
	struct wire_rules rules;
	int epoll;
	int languages;
	atomic_int waiting; /* threads in epoll_wait */
	atomic_size_t threads;
	atomic_bool stopping;
};

static void front_start(struct front *f, const struct front_setup *setup);
static void front_supervise(struct front *f);
static void *thread_main(void *argument);
static void accept_connection(struct front *f, const struct listener *l, unsigned char *buffer);
static void serve_connection(struct front *f, struct connection *c, unsigned char *buffer);
static void close_connection(struct front *f, struct connection *c);
static bool serve_request(struct front *f, struct connection *c, unsigned char *buffer);
static void refuse_request(struct front *f, struct connection *c, int status, const char *reason);
static void log_close(const struct front *f, const struct connection *c, const struct error *e);
static void start_thread(struct front *f);
static void front_stop(struct front *f);

void front_main(const struct front_setup *setup)
{
	static struct front f;

	front_start(&f, setup);
	for (int i = 0; i < FIRST_THREADS; i++)
		start_thread(&f);
	front_supervise(&f);
	front_stop(&f);
	_exit(0);
}

/*
 * The way of a request.
 */

static void *thread_main(void *argument)
{
	struct front *f = argument;
	unsigned char *buffer = malloc(f->rules.max_head);

	while (buffer != NULL) {
		struct epoll_event event;
		struct connection *c;
		int n;

		atomic_fetch_add(&f->waiting, 1);
		n = epoll_wait(f->epoll, &event, 1, -1);
		if (atomic_fetch_sub(&f->waiting, 1) == 1)
			start_thread(f);
		if (n < 1)
			continue;
		if (event.data.u64 >= LISTENER_TAG) {
			accept_connection(f, &f->setup->listeners[event.data.u64 & 0xffff], buffer);
			continue;
		}
		c = connections_claim(f->connections, event.data.u64);
		if (c != NULL)
			serve_connection(f, c, buffer);
	}
	return NULL;
}

static void accept_connection(struct front *f, const struct listener *l, unsigned char *buffer)
{
	const struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT};
	struct connection *c;
	struct error e;
	int fd;

	if (!accepting_take(f->accepting))
		return;
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			accepting_pause(f->accepting);
		else
			accepting_give_back(f->accepting);
		return;
	}
	if (!access_allows(fd, f->setup->config, &e)) {
		log_message(f->setup->log, LEVEL_WARNING, "%s: refused: %s", l->address, e.message);
		close(fd);
		accepting_give_back(f->accepting);
		return;
	}
	c = connections_add(f->connections, fd, l);
	if (c == NULL) {
		log_message(f->setup->log, LEVEL_WARNING, "%s: refused: --max-connections are open",
		    l->address);
		close(fd);
		accepting_give_back(f->accepting);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	serve_connection(f, c, buffer);
}

static void serve_connection(struct front *f, struct connection *c, unsigned char *buffer)
{
	struct error e;
	int status;

	for (;;) {
		switch (connection_look(c, buffer, &status, &e)) {
		case LOOK_READY:
			if (!serve_request(f, c, buffer)) {
				close_connection(f, c);
				return;
			}
			connection_next(c);
			break;
		case LOOK_WAIT:
			if (connections_park(f->connections, c,
				connection_deadline(c, request_clock(), HEAD_DEADLINE * SECOND)))
				return;
			break;
		case LOOK_REFUSE:
			refuse_request(f, c, status, e.message);
			connection_drain(c, buffer);
			close_connection(f, c);
			return;
		case LOOK_CLOSE:
			log_close(f, c, &e);
			close_connection(f, c);
			return;
		}
	}
}

static void close_connection(struct front *f, struct connection *c)
{
	connections_close(f->connections, c);
	accepting_give_back(f->accepting);
}

static void begin_request(struct request *r, const struct connection *c)
{
	request_init(r);
	r->trust_fossil = c->listener->trust_fossil;
	r->relay = c->listener->trust_fossil;
	r->hold = r->relay;
	r->response.fd = c->fd;
	r->response.fastcgi = true;
	r->response.request_id = c->check.request_id;
}

/* true: the connection goes on with another request. */
static bool serve_request(struct front *f, struct connection *c, unsigned char *buffer)
{
	struct request r;
	struct error e;
	bool keep = c->check.keep_conn && !atomic_load(&f->stopping);
	int status;

	begin_request(&r, c);
	status = c->is_taken
		     ? request_read_taken(&r, &c->taken, &c->check, c->fd, f->setup->config, &e)
		     : request_read(&r, c->fd, f->setup->config, &e);
	if (status == 0) {
		keep = answer_request(&f->shared, &r, c->listener->prefix) && keep;
	} else if (status == REQUEST_ABORTED) {
		answer_aborted(&f->shared, &r, e.message);
	} else {
		keep = false;
		if (status > 0) {
			answer_refusal(&f->shared, &r, status, e.message);
			connection_drain(c, buffer);
		} else {
			log_close(f, c, &e);
		}
	}
	request_release(&r);
	return keep;
}

static void refuse_request(struct front *f, struct connection *c, int status, const char *reason)
{
	struct request r;

	begin_request(&r, c);
	answer_refusal(&f->shared, &r, status, reason);
	request_release(&r);
}

static void log_close(const struct front *f, const struct connection *c, const struct error *e)
{
	if (e->message[0] != '\0')
		log_message(f->setup->log, LEVEL_WARNING, "%s: connection closed: %s",
		    c->listener->address, e->message);
}

/*
 * Starting, supervising and stopping: the first thread.
 */

static void fail(const struct front_setup *setup, const char *what)
{
	log_message(setup->log, LEVEL_ERROR, "front: %s: %s", what, strerror(errno));
	_exit(1);
}

static void front_start(struct front *f, const struct front_setup *setup)
{
	const struct config *config = setup->config;
	size_t connections = config->max_connections;
	size_t most;
	struct error e;

	prctl(PR_SET_NAME, "exthost-front");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	f->setup = setup;
	while (setup->bindings[f->languages] != NULL)
		f->languages++;
	most = accepting_most(config, f->languages);
	if (most < connections) {
		connections = most;
		log_message(setup->log, LEVEL_INFO,
		    "descriptors (ulimit -n) suffice for %zu connections at once; more wait", most);
	}
	f->rules = (struct wire_rules){.max_params = config->max_header,
	    .max_head = config->max_header + HEAD_OVERHEAD,
	    .max_ignored = 16,
	    .max_conns = (unsigned)connections,
	    .max_reqs = (unsigned)connections};
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	f->connections = connections_create(config->max_connections, f->epoll, &f->rules);
	f->shared = (struct answer_shared){.config = config,
	    .root = open(config->root, O_PATH | O_DIRECTORY | O_CLOEXEC),
	    .lanes = lanes_create(),
	    .run = {.root = config->root,
		.spares = spares_create(f->languages, config->spares),
		.scripts = scripts_create(setup->bindings),
		.noticed = noticed_create(setup->bindings, setup->master),
		.log = setup->log}};
	if (f->epoll < 0 || f->connections == NULL || f->shared.root < 0 ||
	    f->shared.lanes == NULL || f->shared.run.spares == NULL ||
	    f->shared.run.scripts == NULL || f->shared.run.noticed == NULL)
		fail(setup, "start");
	if (request_start_decoder(&e) < 0)
		fail(setup, e.message);
	f->accepting =
	    accepting_create(f->epoll, setup->listeners, setup->listener_count, LISTENER_TAG, most);
	if (f->accepting == NULL)
		fail(setup, "epoll");
}

static void start_thread(struct front *f)
{
	pthread_attr_t attributes;
	pthread_t thread;

	if (atomic_fetch_add(&f->threads, 1) >= f->setup->config->max_connections) {
		atomic_fetch_sub(&f->threads, 1);
		return;
	}
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	if (pthread_create(&thread, &attributes, thread_main, f) != 0)
		atomic_fetch_sub(&f->threads, 1);
	pthread_attr_destroy(&attributes);
}

/* One order of the master's. false: it is time to end. */
static bool take_order(struct front *f)
{
	struct front_message message = {0};
	int fds[FD_PASS_MAX];
	ssize_t n = fd_receive(f->setup->master, &message, sizeof(message), fds, 0);
	struct error e;

	if (n <= 0)
		return false;
	if (message.order == FRONT_TEMPLATE && fds[0] >= 0)
		spares_connect(f->shared.run.spares, (int)message.language, fds[0]);
	if (message.order == FRONT_REOPEN && log_reopen(f->setup->log, &e) < 0)
		log_message(f->setup->log, LEVEL_ERROR, "%s", e.message);
	return message.order != FRONT_STOP;
}

static void front_supervise(struct front *f)
{
	struct pollfd event = {.fd = f->setup->master, .events = POLLIN};

	for (;;) {
		int n = poll(&event, 1, 1000);

		connections_expire(f->connections, request_clock());
		accepting_look_again(f->accepting);
		if (n > 0 && !take_order(f))
			return;
	}
}

/* Accept no more, let what is being answered end, and give up at the end of the grace time. */
static void front_stop(struct front *f)
{
	uint64_t deadline = request_clock() + f->setup->config->grace * SECOND;
	size_t open, parked;

	atomic_store(&f->stopping, true);
	accepting_end(f->accepting);
	for (;;) {
		connections_expire_idle(f->connections);
		connections_count(f->connections, &open, &parked);
		if (open == 0 || request_clock() >= deadline)
			break;
		poll(NULL, 0, 10);
	}
	if (open > 0)
		log_message(
		    f->setup->log, LEVEL_WARNING, "stopped with %zu connections open", open);
}
