/*
 * Each is a process group of its own (service_process.c). One that ends within a second of its
 * start is started again later each time, up to a minute. One that has been described otherwise
 * starts when nobody is left of its predecessor: even a process that only finishes a request may hold
 * the port.
 */
#include "master/service.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/language.h"
#include "base/log.h"
#include "base/process.h"
#include "binding.h"
#include "config/command_words.h"
#include "config/config.h"
#include "master/service_process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE CLOCK_SECOND /* ending within this is a failure to start */
#define DELAY_MOST (60 * CLOCK_SECOND)

struct service {
	char *name;
	char *command; /* as it is configured, to see whether it has changed */
	char **words;  /* of it */
	char **argv;   /* the words, or exthost's own with them behind */
	char *program; /* what is executed */
	bool script;
	char *restart;
	uint64_t delay; /* before it is started again */
	uint64_t backoff;
	struct service_process process;
	uint64_t at;  /* when to start it, or when it was started; 0: not any more */
	bool leaving; /* it is not configured any more, and killed at `at` */
	bool failed;  /* it has ended with another exit status than 0, the last time */
	char how[64]; /* it ended then */
};

static void start(struct services *s, struct service *service);
static void kill_group(const struct services *s, struct service *service);
static void plan_restart(struct service *service, bool failed);
static void service_release(struct service *service);

/* exthost itself, as the interpreter of the script: "exthost tclsh /path/mailer.tcl ..." */
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

static struct service *service_create(const struct services *s, const struct config_service *config)
{
	struct service *service = calloc(1, sizeof(*service));
	struct error e;
	int language;

	if (service == NULL)
		return NULL;
	service->process.output = -1;
	service->name = strdup(config->name);
	service->restart = strdup(config->restart);
	service->command = service_command_line(config);
	service->delay = service->backoff = config->restart_delay * CLOCK_SECOND;
	service->at = clock_now();
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
	if (service->name == NULL || service->restart == NULL || service->program == NULL ||
	    service->argv == NULL) {
		service_release(service);
		return NULL;
	}
	return service;
}

static void service_release(struct service *service)
{
	service_process_release(&service->process);
	if (service->argv != service->words)
		free(service->argv);
	command_words_release(service->words);
	free(service->name);
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
		    strcmp(service->restart, config->restart) == 0;

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
		service->at = clock_now() + config->grace * CLOCK_SECOND;
		if (service->process.pid > 0)
			kill(service->process.pid, SIGTERM);
	}
	for (size_t i = 0; i < config->service_count; i++) {
		struct service *service = find_same(s, &config->services[i]);

		if (service != NULL) {
			service->delay = service->backoff =
			    config->services[i].restart_delay * CLOCK_SECOND;
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

/* Those that are not configured any more and of which nobody is left. */
static void forget_gone(struct services *s)
{
	for (size_t i = s->count; i-- > 0;) {
		struct service *service = s->items[i];

		if (service->process.pid > 0 || !service_process_is_gone(&service->process) ||
		    !service->leaving)
			continue;
		service_process_log(&service->process, s->log, true);
		service_release(service);
		memmove(s->items + i, s->items + i + 1, (s->count - i - 1) * sizeof(*s->items));
		s->count--;
		s->changed = true;
	}
}

/* Somebody is left of its predecessor. */
static bool must_wait(const struct services *s, const struct service *service)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->items[i] != service && s->items[i]->leaving &&
		    strcmp(s->items[i]->name, service->name) == 0)
			return true;
	return false;
}

/* When something is to be done about it, to start it or to kill it. 0: nothing. */
static uint64_t due(const struct services *s, const struct service *service)
{
	if (service->leaving)
		return service->at;
	return service->process.pid > 0 || must_wait(s, service) ? 0 : service->at;
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
	log_message(s->log, LEVEL_WARNING, "service %s: killed at the end of the grace time",
	    service->name);
	kill(-service->process.group, SIGKILL);
	service->at = clock_now() + CLOCK_SECOND;
}

static void start(struct services *s, struct service *service)
{
	s->changed = true;
	service->at = clock_now();
	if (service_process_start(&service->process, s->log, s->in_child, s->argument) < 0)
		service->at += CLOCK_SECOND;
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

		if (service->process.pid != pid)
			continue;
		/* Those that are left of it may still write. */
		service_process_log(
		    &service->process, s->log, service_process_is_gone(&service->process));
		process_describe_end(service->how, sizeof(service->how), wait_status);
		service->process.pid = 0;
		service->failed = failed;
		plan_restart(service, failed);
		if (service->at == 0 || service->leaving)
			log_message(s->log, failed && !service->leaving ? LEVEL_ERROR : LEVEL_INFO,
			    "service %s: %s", service->name, service->how);
		else
			log_message(s->log, LEVEL_ERROR, "service %s: %s; again in %.1f s",
			    service->name, service->how,
			    (double)(service->at - clock_now()) / CLOCK_SECOND);
		s->changed = true;
		return true;
	}
	return false;
}

static void plan_restart(struct service *service, bool failed)
{
	uint64_t now = clock_now();
	uint64_t most = service->delay > DELAY_MOST ? service->delay : DELAY_MOST;
	bool again = strcmp(service->restart, "always") == 0 ||
		     (failed && strcmp(service->restart, "on-failure") == 0);

	if (now - service->at >= AT_ONCE) {
		service->backoff = service->delay;
	} else {
		service->backoff = service->backoff * 2 > most ? most : service->backoff * 2;
		if (service->backoff < CLOCK_SECOND / 10)
			service->backoff = CLOCK_SECOND / 10;
	}
	if (!service->leaving)
		service->at = again ? now + service->backoff : 0;
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
	state->pid = service->process.pid;
	state->healthy =
	    service->leaving || service->process.pid > 0 || (service->at == 0 && !service->failed);
	if (service->leaving)
		snprintf(state->text, sizeof(state->text), "is being stopped");
	else if (service->process.pid > 0)
		snprintf(state->text, sizeof(state->text), "%s%s",
		    service->how[0] != '\0' ? "runs; before: " : "runs", service->how);
	else if (service->how[0] == '\0')
		snprintf(state->text, sizeof(state->text), "not started yet");
	else if (service->at != 0)
		snprintf(state->text, sizeof(state->text), "%s; to be started again", service->how);
	else
		snprintf(state->text, sizeof(state->text), "ended: %s", service->how);
}

/* It has until then; meanwhile its output is logged. */
static void stop(struct services *s, struct service *service, uint64_t until)
{
	struct service_process *process = &service->process;

	log_message(s->log, LEVEL_INFO, "service %s: stopping", service->name);
	if (process->pid > 0)
		kill(process->pid, SIGTERM);
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

void services_stop(struct services *s, uint64_t deadline)
{
	for (size_t i = s->count; i-- > 0;) {
		uint64_t now = clock_now();
		uint64_t left = deadline > now ? deadline - now : 0;
		/* Each of those before it has a second too. */
		uint64_t others = i * CLOCK_SECOND < left / 2 ? i * CLOCK_SECOND : left / 2;

		if (s->items[i]->process.group > 0)
			stop(s, s->items[i], now + left - others);
		service_release(s->items[i]);
	}
	s->count = 0;
}
