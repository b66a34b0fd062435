/*
 * What front_main.c sets up is set up here for a single thread: no lanes and no statistics, since
 * one request runs at a time, and one spare request process a language.
 *
 * A template may be forked when the thread that watches the apps runs already. That thread holds no
 * lock that a template takes, and fork(2) takes care of the C library's locks. A template inherits
 * the channels of the templates before it, so none sees the end of its channel: all are killed.
 */
#include "command/local_host.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"
#include "ipc/template_channel.h"
#include "request/exchange.h"
#include "request/request.h"
#include "request/route.h"
#include "request/script.h"
#include "run/spares.h"
#include "template/template.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define APPS_STOP_NS (3 * CLOCK_SECOND) /* for app workers to end by themselves */

static int find_language(const struct local_host *h, const struct request *r);
static int start_template(struct local_host *h, int language, struct error *e);
static int await_ready(int status, struct error *e);

int local_host_open(struct local_host *h, const struct config *config,
    const struct binding *const *bindings, struct error *e)
{
	int languages = 0;

	*h = (struct local_host){.config = config,
	    .bindings = bindings,
	    .log = {.fd = STDERR_FILENO, .least = LEVEL_INFO}};
	signal(SIGPIPE, SIG_IGN);
	while (bindings[languages] != NULL)
		languages++;
	h->shared.root = open(config->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	h->shared.run = (struct run_shared){.root = config->root,
	    .log = &h->log,
	    .spares = spares_create(languages, 1),
	    .scripts = scripts_create(bindings)};
	h->apps = (struct app_pool_setup){.log = &h->log,
	    .spares = h->shared.run.spares,
	    .scripts = h->shared.run.scripts,
	    .bindings = bindings,
	    .root_path = config->root,
	    .root = h->shared.root};
	h->shared.run.apps = app_pool_create(&h->apps);
	if (h->shared.root < 0 || h->shared.run.apps == NULL || h->shared.run.spares == NULL ||
	    h->shared.run.scripts == NULL)
		return error_errno(e, "extension root %s", config->root);
	return 0;
}

int local_host_answer(struct local_host *h, struct request *r, struct error *e)
{
	int language = find_language(h, r);
	struct exchange x;

	if (language >= 0 && h->templates[language] == 0 && start_template(h, language, e) < 0)
		return -1;
	exchange_init(&x, r, h->config, &h->log);
	x.quiet = true;
	answer_request(&h->shared, &x, "");
	answer_end(&h->shared, &x);
	return 0;
}

void local_host_refuse(struct local_host *h, struct request *r, int status, const struct error *why)
{
	struct exchange x;

	exchange_init(&x, r, h->config, &h->log);
	x.quiet = true;
	exchange_refuse(&x, status, "%s", why->message);
	answer_end(&h->shared, &x);
}

void local_host_close(struct local_host *h)
{
	if (h->shared.run.apps != NULL) {
		app_pool_stop(h->shared.run.apps, clock_now() + APPS_STOP_NS);
		app_pool_release(h->shared.run.apps);
	}
	spares_destroy(h->shared.run.spares);
	scripts_destroy(h->shared.run.scripts);
	fd_close(&h->shared.root);
	for (int i = 0; i < LANGUAGES_MAX; i++) {
		if (h->templates[i] == 0)
			continue;
		kill(h->templates[i], SIGKILL);
		waitpid(h->templates[i], NULL, 0);
	}
}

/* The language whose template the request needs; -1: no script will run. */
static int find_language(const struct local_host *h, const struct request *r)
{
	struct script_found found = {.language = -1, .code = -1};
	struct route route;
	struct error e;

	if (r->relay)
		route_find_script(&route, h->shared.root, h->config->root,
		    cgi_variables_text(&r->variables, "SCRIPT_FILENAME"), &e);
	else
		route_find(
		    &route, h->shared.root, cgi_variables_text(&r->variables, "SCRIPT_NAME"), &e);
	if (route.kind == ROUTE_SCRIPT)
		scripts_find(
		    h->shared.run.scripts, route.name, route.file, &route.status, &found, &e);
	route_release(&route);
	fd_close(&found.code);
	return found.language;
}

static pid_t fork_child(void *context)
{
	pid_t pid = fork();

	(void)context;
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static int start_template(struct local_host *h, int language, struct error *e)
{
	const struct template_setup setup = {.binding = h->bindings[language],
	    .preload = h->config->preload.items,
	    .preload_count = h->config->preload.count,
	    .log = &h->log};
	struct template_handle t;
	int result;

	if (template_start(&setup, fork_child, NULL, &t) < 0)
		return error_errno(e, "start a template");
	result = await_ready(t.status, e);
	fd_close(&t.status);
	if (result == 0) {
		h->templates[language] = t.pid;
		spares_connect(h->shared.run.spares, language, t.channel);
		return 0;
	}
	fd_close(&t.channel);
	kill(t.pid, SIGKILL);
	waitpid(t.pid, NULL, 0);
	return -1;
}

static int await_ready(int status, struct error *e)
{
	struct template_status message = {0};

	if (template_status_receive(status, &message, 0) == 1 && message.event == TEMPLATE_READY)
		return 0;
	return error_set(e, "template: %s",
	    message.event == TEMPLATE_REFUSED ? "a module to preload starts a thread"
					      : message.text);
}
