/*
 * The first thread of the front: it starts the others, follows the master's orders and ends the
 * process. It serves no requests.
 */
#include "front/front_main.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config_check.h"
#include "config/config_read.h"
#include "config/config_share.h"
#include "front/admission.h"
#include "front/front.h"
#include "front/lanes.h"
#include "net/connection.h"
#include "net/listen.h"
#include "pool/app_pool.h"
#include "request/request.h"
#include "request/script.h"
#include "run/module_usage.h"
#include "run/spares.h"
#include "run/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#define APPS_GRACE_S 3 /* for app workers to end after the last request */
#define FIRST_THREADS 2

static void front_start(struct front *f, const struct front_setup *setup);
static void set_rules(struct front *f, size_t most);
static void make_shared(struct front *f);
static void make_apps(struct front *f);
static void process_waits(void *lanes, int language, bool waits);
static void stand_in(void *front, int app, bool on);
static void front_supervise(struct front *f);
static void front_stop(struct front *f);

void front_main(const struct front_setup *setup)
{
	static struct front f;

	front_start(&f, setup);
	for (int i = 0; i < FIRST_THREADS; i++)
		front_start_thread(&f);
	front_supervise(&f);
	front_stop(&f);
	_exit(0);
}

static void fail(const struct front_setup *setup, const char *what)
{
	log_message(setup->log, LEVEL_ERROR, "front: %s: %s", what, strerror(errno));
	_exit(1);
}

static void front_start(struct front *f, const struct front_setup *setup)
{
	const struct config *config = setup->config;
	size_t most;
	struct error e = {""};

	prctl(PR_SET_NAME, "exthost-front");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	f->setup = setup;
	while (setup->bindings[f->languages] != NULL)
		f->languages++;
	/* There are many threads with little memory: they need no malloc arena each. */
	mallopt(M_ARENA_MAX, 4);
	most = admission_most(config, f->languages);
	set_rules(f, most);
	make_shared(f);
	make_apps(f);
	f->status = (struct status_sources){.services_lock = PTHREAD_MUTEX_INITIALIZER,
	    .began = clock_now(),
	    .bindings = setup->bindings,
	    .configs = f->configs,
	    .stats = f->shared.run.stats,
	    .spares = f->shared.run.spares,
	    .apps = f->shared.run.apps,
	    .lanes = f->shared.lanes,
	    .connections = f->connections};
	if (request_start_decoder(&e) < 0)
		fail(setup, e.message);
	f->accepting = admission_create(f->epoll, LISTENER_TAG, most);
	for (size_t i = 0; i < setup->listener_count; i++)
		if (f->accepting == NULL ||
		    (!setup->listeners[i].control &&
			admission_add(f->accepting, &setup->listeners[i]) < 0))
			fail(setup, "listener");
	if (front_start_control(f, setup->listeners, setup->listener_count) < 0)
		fail(setup, "control socket");
	if (app_pool_serve(f->shared.run.apps, config, setup->listeners, setup->listener_count) < 0)
		fail(setup, "apps");
}

/* What a client may send, and how many may connect: as many as there are descriptors for. */
static void set_rules(struct front *f, size_t most)
{
	const struct config *config = f->setup->config;

	if (most < config->max_connections)
		log_message(f->setup->log, LEVEL_INFO,
		    "file descriptors (ulimit -n) allow %zu connections; more clients wait", most);
	f->rules = wire_rules_make(config->max_header, most);
}

/* Create what the threads share. */
static void make_shared(struct front *f)
{
	const struct front_setup *setup = f->setup;
	const struct config *config = setup->config;

	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	f->connections = connections_create(config->max_connections, f->epoll, &f->rules);
	f->begun = calloc(config->max_connections, sizeof(*f->begun));
	f->configs = config_share_create(config);
	f->shared = (struct front_shared){.status = &f->status,
	    .root = open(config->root, O_PATH | O_DIRECTORY | O_CLOEXEC),
	    .lanes = lanes_create(),
	    .run = {.root = config->root,
		.spares = spares_create(f->languages, config->spares),
		.scripts = scripts_create(setup->bindings),
		.noticed = module_usage_create(setup->bindings, setup->master),
		.stats = stats_create(),
		.log = setup->log}};
	if (f->shared.run.spares != NULL)
		spares_tell_waits(f->shared.run.spares, process_waits, f->shared.lanes);
	if (f->epoll < 0 || f->connections == NULL || f->begun == NULL || f->shared.root < 0 ||
	    f->shared.lanes == NULL || f->configs == NULL || f->shared.run.stats == NULL ||
	    f->shared.run.spares == NULL || f->shared.run.scripts == NULL ||
	    f->shared.run.noticed == NULL)
		fail(setup, "start");
}

static void make_apps(struct front *f)
{
	f->apps = (struct app_pool_setup){.log = f->setup->log,
	    .spares = f->shared.run.spares,
	    .scripts = f->shared.run.scripts,
	    .configs = f->configs,
	    .bindings = f->setup->bindings,
	    .root_path = f->setup->config->root,
	    .root = f->shared.root,
	    .stand_in = stand_in,
	    .context = f};
	f->shared.run.apps = app_pool_create(&f->apps);
	if (f->shared.run.apps == NULL)
		fail(f->setup, "start");
}

static void process_waits(void *lanes, int language, bool waits)
{
	lanes_process_waits(lanes, language, waits);
}

/* An app with direct workers that does not load: its clients are answered here. */
static void stand_in(void *front, int app, bool on)
{
	struct front *f = front;

	admission_stand_in(f->accepting, app, on);
}

static void set_template(struct front *f, uint32_t language, pid_t pid, bool answers)
{
	atomic_store(&f->status.templates[language], pid);
	atomic_store(&f->status.hung[language], !answers);
}

static void take_template(struct front *f, const struct front_message *message, int channel)
{
	const struct config *config;
	struct config_held *held = config_hold(f->configs, &config);

	set_template(f, message->index, message->pid, true);
	app_pool_connect(f->shared.run.apps, (int)message->index, channel, config);
	config_let_go(f->configs, held);
}

/* The master has checked the same bytes before. */
static void reload(struct front *f, int file)
{
	struct config next;
	const struct config *present;
	struct config_held *held = config_hold(f->configs, &present);
	struct error e = {""};

	if (config_check_read(f->setup->source, file, &next, &e) < 0) {
		log_message(f->setup->log, LEVEL_ERROR, "front: reload: %s", e.message);
		config_release(&next);
	} else {
		config_check_keep(&next, present, NULL);
		spares_want(f->shared.run.spares, next.spares);
		if (config_share_replace(f->configs, &next) < 0)
			config_release(&next);
	}
	config_let_go(f->configs, held);
}

/*
 * The master has rebound a listener's socket. The old one stays watched: clients that connected to
 * it before its file was removed are still served.
 */
static void take_listener(struct front *f, uint32_t index, int fd)
{
	struct listener *fresh = malloc(sizeof(*fresh));

	if (fresh == NULL || index >= f->setup->listener_count) {
		free(fresh);
		close(fd);
		return;
	}
	if (f->setup->listeners[index].app != 0) {
		free(fresh);
		admission_replace(f->accepting, &f->setup->listeners[index], fd);
		app_pool_listen_again(f->shared.run.apps, index, fd);
		return;
	}
	*fresh = f->setup->listeners[index];
	fresh->fd = fd;
	if (admission_add(fresh->control ? f->control : f->accepting, fresh) < 0) {
		log_message(f->setup->log, LEVEL_ERROR, "%s: rebound too often", fresh->address);
		free(fresh);
		close(fd);
	}
	/* `fresh` is in the front's list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
}

/* Follow one order of the master. false: stop. */
static bool take_order(struct front *f)
{
	struct front_message message = {0};
	int fds[FD_PASS_MAX];
	ssize_t n = fd_receive(f->setup->master, &message, sizeof(message), fds, 0);
	struct error e = {""};

	if (n <= 0)
		return false;
	if (message.order == FRONT_TEMPLATE && fds[0] >= 0)
		take_template(f, &message, fds[0]);
	/* After connections_expire() and the others, so it says that their locks are free. */
	if (message.order == FRONT_PING)
		fd_send(f->setup->master, FRONT_ANSWER, strlen(FRONT_ANSWER), NULL, 0);
	if (message.order == FRONT_TEMPLATE_STATE)
		set_template(f, message.index, message.pid, message.healthy);
	if (message.order == FRONT_SERVICES)
		status_set_services(&f->status, message.index);
	if (message.order == FRONT_SERVICE)
		status_set_service(
		    &f->status, message.index, message.pid, message.healthy, message.text);
	if (message.order == FRONT_LISTENER && fds[0] >= 0)
		take_listener(f, message.index, fds[0]);
	if (message.order == FRONT_RELOAD) {
		reload(f, fds[0]);
		fd_close(&fds[0]);
	}
	if (message.order == FRONT_REOPEN) {
		if (log_reopen(f->setup->log, &e) < 0)
			log_message(f->setup->log, LEVEL_ERROR, "%s", e.message);
		app_pool_reopen_log(f->shared.run.apps);
	}
	return message.order != FRONT_STOP;
}

static void front_supervise(struct front *f)
{
	struct pollfd event = {.fd = f->setup->master, .events = POLLIN};

	for (;;) {
		int n = poll(&event, 1, 1000);

		connections_expire(f->connections, clock_now());
		admission_look_again(f->accepting);
		if (admission_is_full(f->accepting))
			connections_make_room(f->connections, clock_now());
		admission_look_again(f->control);
		if (n > 0 && !take_order(f))
			return;
	}
}

/* Accept no more, wait for the requests in progress, and give up at the end of the grace time. */
static void front_stop(struct front *f)
{
	const struct config *config;
	struct config_held *held = config_hold(f->configs, &config);
	uint64_t deadline = clock_now() + config->grace * CLOCK_SECOND;
	size_t open, parked;

	atomic_store(&f->stopping, true);
	admission_end(f->accepting);
	admission_end(f->control);
	app_pool_stop_serving(f->shared.run.apps, deadline);
	for (;;) {
		connections_expire_idle(f->connections, clock_now());
		connections_count(f->connections, &open, &parked);
		if (open == 0 || clock_now() >= deadline)
			break;
		poll(NULL, 0, 10);
	}
	if (open > 0)
		log_message(
		    f->setup->log, LEVEL_WARNING, "stopped with %zu connections open", open);
	app_pool_stop(f->shared.run.apps, deadline + APPS_GRACE_S * CLOCK_SECOND);
	config_let_go(f->configs, held);
}
