/*
 * A service that ends within a second of its start is started again later each time, up to a
 * minute.
 *
 * Each service is a process group (service_process.c). A service whose configuration a reload has
 * changed starts when no process of its predecessor is left, since even a process that only
 * finishes a request may hold the port.
 */
#include "master/service.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/language.h"
#include "base/log.h"
#include "base/process.h"
#include "binding.h"
#include "config/command_words.h"
#include "config/config.h"
#include "master/child.h"
#include "master/service_process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_LEAST_NS (CLOCK_SECOND / 10)
#define BACKOFF_MOST_NS (60 * CLOCK_SECOND)
#define KILL_AGAIN_NS CLOCK_SECOND /* when processes are left in a group that was killed */

struct service {
	char *name;
	char *title;   /* "service NAME" */
	char *command; /* command line as it is configured, to see whether it has changed */
	char **words;  /* words of the command line */
	char **argv;   /* the same words, behind exthost's own for a script */
	char *program; /* path of the file that is executed */
	bool script;
	char *restart;
	struct child child;
	struct service_process process;
	bool leaving;     /* no longer configured: it was sent SIGTERM */
	uint64_t kill_at; /* time of its SIGKILL, when it is leaving; of clock_now() */
	bool failed;      /* its last process did not end with exit status 0 */
	char how[64];     /* how its last process ended; "": none has */
};

static void start(struct services *s, struct service *service);
static void kill_group(const struct services *s, struct service *service);
static bool is_restarted(const struct service *service);
static void service_release(struct service *service);

/* Arguments of exthost as the interpreter of a script: "exthost tclsh /path/mailer.tcl ..." */
static char **script_arguments(char **words, const char *interpreter)
{
	size_t count = 0;
	char **argv;

	while (words[count] != NULL)
		count++;
	argv = calloc(count + 3, sizeof(*argv));
	if (argv == NULL)
		return NULL;
	argv[0] = (char *)"exthost";
	argv[1] = (char *)interpreter;
	memcpy(argv + 2, words, (count + 1) * sizeof(*argv));
	return argv;
}

/* A delay in seconds, as it is configured, is the pause; the backoff begins with the double. */
static struct child_rules rules_of(uint64_t delay)
{
	struct child_rules rules = {.pause = delay * CLOCK_SECOND,
	    .first = 2 * delay * CLOCK_SECOND,
	    .most = BACKOFF_MOST_NS};

	if (rules.most < rules.pause)
		rules.most = rules.pause;
	if (rules.first < BACKOFF_LEAST_NS)
		rules.first = BACKOFF_LEAST_NS;
	if (rules.first > rules.most)
		rules.first = rules.most;
	return rules;
}

static struct service *service_create(const struct services *s, const struct config_service *config)
{
	const struct child_rules rules = rules_of(config->restart_delay);
	struct service *service = calloc(1, sizeof(*service));
	struct error e;
	int language;

	if (service == NULL)
		return NULL;
	service->process.output = -1;
	service->name = strdup(config->name);
	if (asprintf(&service->title, "service %s", config->name) < 0)
		service->title = NULL;
	child_init(&service->child, service->title, s->log, &rules);
	child_want(&service->child, 0);
	service->restart = strdup(config->restart);
	service->command = service_command_line(config);
	service->script = config->script != NULL;
	service->words =
	    service->command != NULL ? command_words_split(service->command, &e) : NULL;
	service->argv = service->words;
	if (service->words != NULL && service->script) {
		language = language_by_suffix(s->bindings, service->words[0]);
		service->program = strdup("/proc/self/exe");
		service->argv = script_arguments(service->words, s->bindings[language]->command);
	} else if (service->words != NULL) {
		service->program = strdup(service->words[0]);
	}
	service->process.argv = service->argv;
	service->process.name = service->name;
	service->process.program = service->program;
	if (config_list_copy(&service->process.environment, &config->environment.variables) < 0 ||
	    service->name == NULL || service->title == NULL || service->restart == NULL ||
	    service->program == NULL || service->argv == NULL) {
		service_release(service);
		return NULL;
	}
	return service;
}

static void service_release(struct service *service)
{
	child_forget(&service->child);
	service_process_release(&service->process);
	if (service->argv != service->words)
		free(service->argv);
	command_words_release(service->words);
	free(service->name);
	free(service->title);
	free(service->restart);
	free(service->command);
	free(service->program);
	free(service);
}

static bool is_same(const struct service *service, const struct config_service *config)
{
	char *line = service_command_line(config);
	bool same = line != NULL && !service->leaving && strcmp(service->name, config->name) == 0 &&
		    service->script == (config->script != NULL) &&
		    strcmp(service->command, line) == 0 &&
		    strcmp(service->restart, config->restart) == 0 &&
		    config_list_same(&service->process.environment, &config->environment.variables);

	free(line);
	return same;
}

static bool is_configured(const struct service *service, const struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++)
		if (is_same(service, &config->services[i]))
			return true;
	return false;
}

static struct service *find_same(const struct services *s, const struct config_service *config)
{
	for (size_t i = 0; i < s->count; i++)
		if (is_same(s->items[i], config))
			return s->items[i];
	return NULL;
}

void services_configure(struct services *s, const struct config *config)
{
	s->changed = true;
	for (size_t i = 0; i < s->count; i++) {
		struct service *service = s->items[i];

		if (service->leaving || is_configured(service, config))
			continue;
		service->leaving = true;
		service->kill_at = clock_now() + config->grace * CLOCK_SECOND;
		child_signal(&service->child, SIGTERM);
	}
	for (size_t i = 0; i < config->service_count; i++) {
		const struct child_rules rules = rules_of(config->services[i].restart_delay);
		struct service *service = find_same(s, &config->services[i]);

		if (service != NULL) {
			child_set_rules(&service->child, &rules);
			continue;
		}
		service = s->count < SERVICES_MAX ? service_create(s, &config->services[i]) : NULL;
		if (service != NULL)
			s->items[s->count++] = service;
		else
			log_message(s->log, LEVEL_ERROR, "service %s: there is no room for it",
			    config->services[i].name);
	}
}

/* Remove the services that are not configured any more and have no process left. */
static void forget_gone(struct services *s)
{
	for (size_t i = s->count; i-- > 0;) {
		struct service *service = s->items[i];

		if (service->child.pid > 0 || !service_process_is_gone(&service->process) ||
		    !service->leaving)
			continue;
		service_process_log(&service->process, s->log, true);
		service_release(service);
		memmove(s->items + i, s->items + i + 1, (s->count - i - 1) * sizeof(*s->items));
		s->count--;
		s->changed = true;
	}
}

/* A predecessor of the same name has a process left. */
static bool must_wait(const struct services *s, const struct service *service)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->items[i] != service && s->items[i]->leaving &&
		    strcmp(s->items[i]->name, service->name) == 0)
			return true;
	return false;
}

/* When to start or kill this service, of clock_now(); 0: neither. */
static uint64_t due(const struct services *s, const struct service *service)
{
	if (service->leaving)
		return service->kill_at;
	return must_wait(s, service) ? 0 : child_next_event(&service->child);
}

uint64_t services_work(struct services *s)
{
	uint64_t first = 0;

	forget_gone(s);
	for (size_t i = 0; i < s->count; i++) {
		struct service *service = s->items[i];
		uint64_t at = due(s, service);

		if (at != 0 && at <= clock_now()) {
			if (service->leaving)
				kill_group(s, service);
			else
				start(s, service);
			at = due(s, service);
		}
		if (at != 0 && (first == 0 || at < first))
			first = at;
	}
	return first;
}

static void kill_group(const struct services *s, struct service *service)
{
	log_message(
	    s->log, LEVEL_WARNING, "%s: killed at the end of the grace time", service->title);
	kill(-service->process.group, SIGKILL);
	service->kill_at = clock_now() + KILL_AGAIN_NS;
}

static void start(struct services *s, struct service *service)
{
	s->changed = true;
	service_process_start(&service->process, &service->child, s->in_child, s->argument);
}

size_t services_events(const struct services *s, struct pollfd events[SERVICES_MAX])
{
	for (size_t i = 0; i < s->count; i++)
		events[i] = (struct pollfd){.fd = s->items[i]->process.output, .events = POLLIN};
	return s->count;
}

void services_take_output(struct services *s)
{
	for (size_t i = 0; i < s->count; i++)
		service_process_log(&s->items[i]->process, s->log, false);
}

bool services_child_died(struct services *s, pid_t pid, int wait_status)
{
	bool failed = !WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0;

	for (size_t i = 0; i < s->count; i++) {
		struct service *service = s->items[i];

		if (!child_died(&service->child, pid))
			continue;
		/* Other processes of its group may still write. */
		service_process_log(
		    &service->process, s->log, service_process_is_gone(&service->process));
		process_describe_end(service->how, sizeof(service->how), wait_status);
		service->failed = failed;
		if (is_restarted(service)) {
			child_start_again(&service->child);
			log_message(s->log, LEVEL_ERROR, "%s: %s; again in %.1f s", service->title,
			    service->how,
			    (double)(service->child.due - clock_now()) / CLOCK_SECOND);
		} else {
			log_message(s->log, failed && !service->leaving ? LEVEL_ERROR : LEVEL_INFO,
			    "%s: %s", service->title, service->how);
		}
		s->changed = true;
		return true;
	}
	return false;
}

static bool is_restarted(const struct service *service)
{
	return !service->leaving &&
	       (strcmp(service->restart, "always") == 0 ||
		   (service->failed && strcmp(service->restart, "on-failure") == 0));
}

bool services_has(const struct services *s, pid_t group)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->items[i]->process.group == group)
			return true;
	return false;
}

void services_state(const struct services *s, size_t index, struct service_state *state)
{
	const struct service *service = s->items[index];

	state->name = service->name;
	state->pid = service->child.pid;
	state->healthy = service->leaving || service->child.pid > 0 ||
			 (service->child.due == 0 && !service->failed);
	if (service->leaving)
		snprintf(state->text, sizeof(state->text), "is being stopped");
	else if (service->child.pid > 0)
		snprintf(state->text, sizeof(state->text), "%s%s",
		    service->how[0] != '\0' ? "runs; before: " : "runs", service->how);
	else if (service->how[0] == '\0')
		snprintf(state->text, sizeof(state->text), "not started yet");
	else if (service->child.due != 0)
		snprintf(state->text, sizeof(state->text), "%s; to be started again", service->how);
	else
		snprintf(state->text, sizeof(state->text), "ended: %s", service->how);
}

/* Stop a service; kill what is left at `until`. Its output is logged while it stops. */
static void stop(struct services *s, struct service *service, uint64_t until)
{
	struct service_process *process = &service->process;

	log_message(s->log, LEVEL_INFO, "%s: stopping", service->title);
	if (service->child.pid > 0)
		child_signal(&service->child, SIGTERM);
	else if (!service->leaving)
		kill(-process->group, SIGTERM);
	while (!service_process_is_gone(process) && clock_now() < until &&
	       !s->is_hurried(s->argument)) {
		service_process_log(process, s->log, false);
		poll(NULL, 0, 10);
	}
	if (!service_process_is_gone(process)) {
		kill_group(s, service);
		while (waitpid(-process->group, NULL, 0) > 0)
			;
	}
	service_process_log(process, s->log, true);
}

void services_leave(struct services *s)
{
	for (size_t i = 0; i < s->count; i++) {
		child_forget(&s->items[i]->child);
		fd_close(&s->items[i]->process.output);
	}
}

void services_stop(struct services *s, uint64_t deadline)
{
	for (size_t i = s->count; i-- > 0;) {
		uint64_t now = clock_now();
		uint64_t left = deadline > now ? deadline - now : 0;
		/*
		 * Time for the services before this one: a second each, but at most half of what is
		 * left.
		 */
		uint64_t others = i * CLOCK_SECOND < left / 2 ? i * CLOCK_SECOND : left / 2;

		if (s->items[i]->process.group > 0)
			stop(s, s->items[i], now + left - others);
		service_release(s->items[i]);
	}
	s->count = 0;
}
